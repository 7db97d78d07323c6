"""Static bearer tokens from a file of lines `token,user,uid,"group1,group2"` (groups may be missing)."""

from __future__ import annotations

import csv
from collections.abc import Mapping

from tiphys.apiserver.authn.identity import UserInfo, authenticated


def parse(text: str) -> Mapping[str, UserInfo]:
    """The users by token. ValueError (with the line's number) for a line that is not like that, or a token that comes
    twice."""
    users: dict[str, UserInfo] = {}
    reader = csv.reader(text.splitlines(), skipinitialspace=True)
    for row in reader:
        if not row or row[0].lstrip().startswith("#"):
            continue
        if len(row) < 3:
            raise ValueError(f"token file, line {reader.line_num}: token, user name and user uid are needed")
        token, name, uid = (word.strip() for word in row[:3])
        if not token or not name:
            raise ValueError(f"token file, line {reader.line_num}: the token and the user name must not be empty")
        if token in users:
            raise ValueError(f"token file, line {reader.line_num}: the token stands in the file twice")
        groups = tuple(group.strip() for group in row[3].split(",") if group.strip()) if len(row) > 3 else ()
        users[token] = authenticated(UserInfo(name, uid, groups))
    return users
