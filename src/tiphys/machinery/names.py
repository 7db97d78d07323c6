"""Which texts are good names: objects, labels, ports, keys, environment variables, URL paths.

Every check takes the text and returns what is wrong with it, in the words clients know; an empty list means good.
Lengths are bytes. Specified in "Object Names and IDs" and in the API conventions. Which check a field needs is the
caller's knowledge.
"""

from __future__ import annotations

import re

DNS1123_LABEL_MAX_LENGTH = 63
DNS1123_SUBDOMAIN_MAX_LENGTH = 253
DNS1035_LABEL_MAX_LENGTH = 63
QUALIFIED_NAME_MAX_LENGTH = 63
LABEL_VALUE_MAX_LENGTH = 63
PORT_NAME_MAX_LENGTH = 15
GENERATED_NAME_MAX_LENGTH = 63
GENERATED_SUFFIX_LENGTH = 5
GENERATED_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels (no words by accident) and nothing that looks like another character."""

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_UNDERSCORE_LABEL = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_UNDERSCORE_SUBDOMAIN = rf"{_UNDERSCORE_LABEL}(\.{_UNDERSCORE_LABEL})*"
_WILDCARD_SUBDOMAIN = rf"\*\.{_SUBDOMAIN}"
_DNS1035_LABEL = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED_NAME})?"
_C_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_ENV_VAR_NAME = "[-._a-zA-Z][-._a-zA-Z0-9]*"
_CONFIG_MAP_KEY = "[-._a-zA-Z0-9]+"
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_HTTP_HEADER_NAME = "[-A-Za-z0-9]+"
_PERCENT = "[0-9]+%"

_LABEL_MESSAGE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
_SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_UNDERSCORE_SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_WILDCARD_MESSAGE = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
)
_DNS1035_MESSAGE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character"
)
_QUALIFIED_NAME_MESSAGE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_LABEL_VALUE_MESSAGE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character"
)
_C_IDENTIFIER_MESSAGE = (
    "a valid C identifier must start with alphabetic character or '_', "
    "followed by a string of alphanumeric characters or '_'"
)
_ENV_VAR_MESSAGE = (
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', "
    "and must not start with a digit"
)
_RELAXED_ENV_VAR_MESSAGE = (
    "a valid environment variable name must consist only of printable ASCII characters other than '='"
)
_CONFIG_MAP_KEY_MESSAGE = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
_HTTP_HEADER_MESSAGE = "a valid HTTP header must consist of alphanumeric characters or '-'"
_PERCENT_MESSAGE = "a valid percent string must be a numeric string followed by an ending '%'"

EMPTY = "must be non-empty"


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_LABEL_PATTERN = _compiled(_LABEL)
_SUBDOMAIN_PATTERN = _compiled(_SUBDOMAIN)
_UNDERSCORE_SUBDOMAIN_PATTERN = _compiled(_UNDERSCORE_SUBDOMAIN)
_WILDCARD_PATTERN = _compiled(_WILDCARD_SUBDOMAIN)
_DNS1035_PATTERN = _compiled(_DNS1035_LABEL)
_QUALIFIED_NAME_PATTERN = _compiled(_QUALIFIED_NAME)
_LABEL_VALUE_PATTERN = _compiled(_LABEL_VALUE)
_C_IDENTIFIER_PATTERN = _compiled(_C_IDENTIFIER)
_ENV_VAR_PATTERN = _compiled(_ENV_VAR_NAME)
_RELAXED_ENV_VAR_PATTERN = _compiled(r"[ -<>-~]*")
_CONFIG_MAP_KEY_PATTERN = _compiled(_CONFIG_MAP_KEY)
_HTTP_PATH_PATTERN = _compiled(_HTTP_PATH)
_HTTP_HEADER_PATTERN = _compiled(_HTTP_HEADER_NAME)
_PERCENT_PATTERN = _compiled(_PERCENT)
_PORT_NAME_CHARACTERS = _compiled("[-a-z0-9]+")
_PORT_NAME_LETTER = _compiled("[a-z]")


def max_length_message(length: int, unit: str = "bytes") -> str:
    """What is said of a text of more than `length` bytes (which are "characters" where only ASCII is allowed)."""
    return f"must be no more than {length} {unit}"


def range_message(low: int, high: int) -> str:
    """What is said of a number outside of `low`..`high`, both of which are still good."""
    return f"must be between {low} and {high}, inclusive"


def pattern_message(message: str, pattern: str, *examples: str) -> str:
    """What is said of a text that does not fit `pattern`."""
    if not examples:
        return f"{message} (regex used for validation is '{pattern}')"
    listed = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {listed}regex used for validation is '{pattern}')"


def _length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _too_long(text: str, limit: int, unit: str = "characters") -> list[str]:
    return [max_length_message(limit, unit)] if _length(text) > limit else []


def dns1123_label(text: str) -> list[str]:
    """Namespaces, containers, volumes: one DNS label."""
    found = _too_long(text, DNS1123_LABEL_MAX_LENGTH)
    if not _LABEL_PATTERN.fullmatch(text):
        if _SUBDOMAIN_PATTERN.fullmatch(text):
            found.append("must not contain dots")
        else:
            found.append(pattern_message(_LABEL_MESSAGE, _LABEL, "my-name", "123-abc"))
    return found


def dns1123_subdomain(text: str) -> list[str]:
    """Most names of objects: DNS labels joined with dots."""
    found = _too_long(text, DNS1123_SUBDOMAIN_MAX_LENGTH)
    if not _SUBDOMAIN_PATTERN.fullmatch(text):
        found.append(pattern_message(_SUBDOMAIN_MESSAGE, _SUBDOMAIN, "example.com"))
    return found


def dns1123_subdomain_with_underscore(text: str) -> list[str]:
    """Search domains of a pod's dnsConfig, which may also hold underscores."""
    found = _too_long(text, DNS1123_SUBDOMAIN_MAX_LENGTH)
    if not _UNDERSCORE_SUBDOMAIN_PATTERN.fullmatch(text):
        found.append(pattern_message(_UNDERSCORE_SUBDOMAIN_MESSAGE, _UNDERSCORE_SUBDOMAIN, "example.com"))
    return found


def wildcard_dns1123_subdomain(text: str) -> list[str]:
    """Hosts of an Ingress: `*.` and a subdomain."""
    found = _too_long(text, DNS1123_SUBDOMAIN_MAX_LENGTH)
    if not _WILDCARD_PATTERN.fullmatch(text):
        found.append(pattern_message(_WILDCARD_MESSAGE, _WILDCARD_SUBDOMAIN, "*.example.com"))
    return found


def dns1035_label(text: str) -> list[str]:
    """Services: a DNS label that begins with a letter."""
    found = _too_long(text, DNS1035_LABEL_MAX_LENGTH)
    if not _DNS1035_PATTERN.fullmatch(text):
        found.append(pattern_message(_DNS1035_MESSAGE, _DNS1035_LABEL, "my-name", "abc-123"))
    return found


def qualified_name(text: str) -> list[str]:
    """Keys of labels and annotations, resource names, conditions: a name, perhaps after a DNS subdomain and '/'."""
    examples = ("MyName", "my.name", "123-abc")
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        message = pattern_message(_QUALIFIED_NAME_MESSAGE, _QUALIFIED_NAME, *examples)
        return [
            f"a valid label key {message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    found = []
    if slash:
        found += [f"prefix part {message}" for message in _prefix_findings(prefix)]
    if not name:
        found.append(f"name part {EMPTY}")
    elif _length(name) > QUALIFIED_NAME_MAX_LENGTH:
        found.append(f"name part {max_length_message(QUALIFIED_NAME_MAX_LENGTH)}")
    if not _QUALIFIED_NAME_PATTERN.fullmatch(name):
        found.append(f"name part {pattern_message(_QUALIFIED_NAME_MESSAGE, _QUALIFIED_NAME, *examples)}")
    return found


def _prefix_findings(prefix: str) -> list[str]:
    if len(prefix) > DNS1123_SUBDOMAIN_MAX_LENGTH:
        return [max_length_message(DNS1123_SUBDOMAIN_MAX_LENGTH), *dns1123_subdomain(prefix)[1:]]
    return dns1123_subdomain(prefix) if prefix else [EMPTY]


def label_value(text: str) -> list[str]:
    """Values of labels."""
    found = _too_long(text, LABEL_VALUE_MAX_LENGTH, "bytes")
    if not _LABEL_VALUE_PATTERN.fullmatch(text):
        found.append(pattern_message(_LABEL_VALUE_MESSAGE, _LABEL_VALUE, "MyValue", "my_value", "12345"))
    return found


def port_name(text: str) -> list[str]:
    """Names of ports (IANA service names)."""
    found = _too_long(text, PORT_NAME_MAX_LENGTH)
    if not _PORT_NAME_CHARACTERS.fullmatch(text):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not _PORT_NAME_LETTER.search(text):
        found.append("must contain at least one letter (a-z)")
    if "--" in text:
        found.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        found.append("must not begin or end with a hyphen")
    return found


def port_number(number: int) -> list[str]:
    """Numbers of ports."""
    return [] if 1 <= number <= 65535 else [range_message(1, 65535)]


def c_identifier(text: str) -> list[str]:
    """Identifiers as C writes them."""
    if _C_IDENTIFIER_PATTERN.fullmatch(text):
        return []
    return [pattern_message(_C_IDENTIFIER_MESSAGE, _C_IDENTIFIER, "my_name", "MY_NAME", "MyName")]


def env_var_name(text: str) -> list[str]:
    """Names of a container's environment variables: printable ASCII without '='."""
    found = [] if text else [f"environment variable name {EMPTY}"]
    if not _RELAXED_ENV_VAR_PATTERN.fullmatch(text):
        found.append(_RELAXED_ENV_VAR_MESSAGE)
    return found


def strict_env_var_name(text: str) -> list[str]:
    """Names that every shell takes for a variable's: what was asked for before the rule was relaxed."""
    found = []
    if not _ENV_VAR_PATTERN.fullmatch(text):
        found.append(pattern_message(_ENV_VAR_MESSAGE, _ENV_VAR_NAME, "my.env-name", "MY_ENV.NAME", "MyEnvName1"))
    return found + _directory_change(text)


def config_map_key(text: str) -> list[str]:
    """Keys of the data of ConfigMaps and Secrets: they become file names."""
    found = _too_long(text, DNS1123_SUBDOMAIN_MAX_LENGTH)
    if not _CONFIG_MAP_KEY_PATTERN.fullmatch(text):
        found.append(pattern_message(_CONFIG_MAP_KEY_MESSAGE, _CONFIG_MAP_KEY, "key.name", "KEY_NAME", "key-name"))
    return found + _directory_change(text)


def _directory_change(text: str) -> list[str]:
    if text in (".", ".."):
        return [f"must not be '{text}'"]
    return ["must not start with '..'"] if text.startswith("..") else []


def path_segment_name(text: str) -> list[str]:
    """Names that may be any one segment of a URL path (roles, bindings)."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return path_segment_prefix(text)


def path_segment_prefix(text: str) -> list[str]:
    """The part of such a name that `generateName` gives."""
    return [f"may not contain '{unwanted}'" for unwanted in ("/", "%") if unwanted in text]


def http_path(text: str) -> list[str]:
    """Paths of URLs, as in a domain-prefixed path."""
    return [] if _HTTP_PATH_PATTERN.fullmatch(text) else [pattern_message("Invalid path", _HTTP_PATH)]


def http_header_name(text: str) -> list[str]:
    """Names of HTTP headers (probes)."""
    if _HTTP_HEADER_PATTERN.fullmatch(text):
        return []
    return [pattern_message(_HTTP_HEADER_MESSAGE, _HTTP_HEADER_NAME, "X-Header-Name")]


def percent(text: str) -> list[str]:
    """Shares such as `25%`."""
    return [] if _PERCENT_PATTERN.fullmatch(text) else [pattern_message(_PERCENT_MESSAGE, _PERCENT, "1%", "93%")]


def generate_name(base: str, suffix: str) -> str:
    """The name that `generateName` asks for: `base`, cut so that all fits 63 bytes, and the random `suffix`, which the
    caller draws: GENERATED_SUFFIX_LENGTH characters of GENERATED_SUFFIX_ALPHABET."""
    room = GENERATED_NAME_MAX_LENGTH - len(suffix)
    return base.encode()[:room].decode("utf-8", "ignore") + suffix
