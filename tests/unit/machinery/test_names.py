from tiphys.machinery import names

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
    "end with an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end "
    "with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
QUALIFIED = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def test_labels_say_dots_apart_from_other_faults():
    assert names.dns1123_label("web-0") == []
    assert names.dns1123_label("web.0") == ["must not contain dots"]
    assert names.dns1123_label("Web") == [LABEL]
    assert names.dns1123_label("web\n") == [LABEL]
    assert names.dns1123_label("a" * 64) == ["must be no more than 63 characters"]


def test_subdomains():
    assert names.dns1123_subdomain("a.b-c.0") == []
    assert names.dns1123_subdomain("a..b") == [SUBDOMAIN]
    assert names.dns1123_subdomain("") == [SUBDOMAIN]
    assert names.dns1123_subdomain("a" * 254) == ["must be no more than 253 characters"]
    assert names.dns1123_subdomain_with_underscore("_srv._tcp.a_b") == []
    assert names.wildcard_dns1123_subdomain("*.example.com") == []
    assert len(names.wildcard_dns1123_subdomain("example.com")) == 1


def test_dns1035_labels_begin_with_a_letter():
    assert names.dns1035_label("a-1") == []
    assert names.dns1035_label("1-a") == [
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
        "character, "
        "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
        "regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
    ]


def test_qualified_names():
    assert names.qualified_name("app") == []
    assert names.qualified_name("app.kubernetes.io/Name_1") == []
    assert names.qualified_name("a/b/c") == [
        f"a valid label key {QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
    ]
    assert names.qualified_name("/") == [
        "prefix part must be non-empty",
        "name part must be non-empty",
        f"name part {QUALIFIED}",
    ]
    assert names.qualified_name("A/b") == [f"prefix part {SUBDOMAIN}"]
    assert names.qualified_name("b" * 64) == ["name part must be no more than 63 bytes"]


def test_label_values_may_be_empty():
    assert names.label_value("") == []
    assert names.label_value("My_value.1") == []
    assert names.label_value("-a") == [
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
        "must start and "
        "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
        "regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    ]


def test_port_names_and_numbers():
    assert names.port_name("http-alt") == []
    assert names.port_name("-8--0-" + "0" * 10) == [
        "must be no more than 15 characters",
        "must contain at least one letter (a-z)",
        "must not contain consecutive hyphens",
        "must not begin or end with a hyphen",
    ]
    assert names.port_number(65535) == []
    assert names.port_number(0) == ["must be between 1 and 65535, inclusive"]


def test_environment_variable_names():
    assert names.env_var_name("1 any/thing~") == []
    relaxed = "a valid environment variable name must consist only of printable ASCII characters other than '='"
    assert names.env_var_name("A=B") == [relaxed]
    assert names.env_var_name("é") == [relaxed]
    assert names.env_var_name("") == ["environment variable name must be non-empty"]
    assert names.strict_env_var_name("A.b-1") == []
    assert names.strict_env_var_name("..a") == ["must not start with '..'"]
    assert len(names.strict_env_var_name("1A")) == 1
    assert names.c_identifier("a_1") == []
    assert len(names.c_identifier("1")) == 1


def test_keys_and_paths():
    assert names.config_map_key("key.Name_1-x") == []
    assert names.config_map_key("..") == ["must not be '..'"]
    assert names.config_map_key("..x") == ["must not start with '..'"]
    assert names.config_map_key("a/b") == [
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
        "'KEY_NAME',  "
        "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
    ]
    assert names.path_segment_name("system:node") == []
    assert names.path_segment_name("..") == ["may not be '..'"]
    assert names.path_segment_name("a/%") == ["may not contain '/'", "may not contain '%'"]
    assert names.path_segment_prefix(".") == []
    assert names.http_path("/a/b.c") == []
    assert names.http_path("a b") == ["Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"]
    assert names.http_header_name("X-Probe") == []
    assert len(names.http_header_name("X Probe")) == 1
    assert names.percent("25%") == []
    assert len(names.percent("25")) == 1


def test_generated_names_are_cut_to_fit():
    assert names.generate_name("web-", "x2z4b") == "web-x2z4b"
    assert names.generate_name("a" * 70, "x2z4b") == "a" * 58 + "x2z4b"
