-- One request after another, as the arguments say: token, method, media type, prefix of the names, how many names there
-- are (0: every request has a new one), path, body. NAME and NUMBER in path and body stand for the next name and for a
-- number that no request had before.

-- The text as a function of name and number; cut up once, so that a request costs one concatenation.
local function template(text)
  local parts, holes, from = {}, {}, 1
  while true do
    local first, last, found = text:find("(NAME)", from)
    local other, its_last = text:find("NUMBER", from)
    if other and (not first or other < first) then first, last, found = other, its_last, "NUMBER" end
    if not first then break end
    parts[#parts + 1] = text:sub(from, first - 1)
    parts[#parts + 1] = ""
    holes[#parts] = found
    from = last + 1
  end
  parts[#parts + 1] = text:sub(from)
  return function(name, number)
    for place, hole in pairs(holes) do parts[place] = hole == "NAME" and name or number end
    return table.concat(parts)
  end, next(holes) ~= nil
end

function init(args)
  wrk.headers["Authorization"] = "Bearer " .. args[1]
  local method, media, prefix, count = args[2], args[3], args[4], tonumber(args[5])
  local path, path_varies = template(args[6])
  local body, body_varies = template(args[7] or "")
  if media ~= "" then wrk.headers["Content-Type"] = media end
  local has_body = (args[7] or "") ~= ""
  if not (path_varies or body_varies) then
    local same = wrk.format(method, path(), nil, has_body and body() or nil)
    request = function() return same end
    return
  end
  local n = 0
  request = function()
    n = n + 1
    local name = prefix .. (count > 0 and n % count or n)
    return wrk.format(method, path(name, n), nil, has_body and body(name, n) or nil)
  end
end
