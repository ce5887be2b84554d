--- Reads from a model's name how the mock shall behave: `mock;tokens=5;interval=10;close=3`.
--
-- The part before the first `;` is a plain name. Each part after it is `key=value`, or a key alone. Values
-- may be percent-encoded (a model's name can't hold spaces or quotes). A key that isn't known is a problem,
-- so that a misspelt test fails rather than passes.

local behaviour = {}

-- How a value is read. `position`: a number of events (of bytes, in a JSON answer), or `header`.
local KINDS = {
  tokens = "number", interval = "number", text = "text", piece = "number", reasoning = "number",
  escape = "flag", echo = "flag", calls = "number", finish = "text",
  usage = "text", prompt = "number", cached = "number", completion = "number",
  status = "number", message = "text", retry_after = "text", retry_after_ms = "text", body = "text",
  times = "number", delay = "number", type = "text",
  stall = "position", close = "position", reset = "position", garbage = "position", error = "number",
  done = "text", gzip = "flag", huge = "number", lines = "text", comments = "flag", multiline = "flag",
  bare = "flag", last_line = "text", cut = "number", split = "number", gap = "number",
  drip = "number",
  file = "text", tag = "text",
}

-- Plain names that stand for a longer one.
local NAMED = {
  demo = "mock;tokens=32;interval=40",
}

local function decode(value)
  return (value:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end))
end

local function read(kind, value)
  if kind == "flag" then return value == nil and true or nil end
  if value == nil then return nil end
  if kind == "number" then return tonumber(value) end
  if kind == "position" then return value == "header" and "header" or tonumber(value) end
  return decode(value)
end

--- Returns a table of what `name` asks for, its plain name as `name`; or nil and what is wrong.
function behaviour.parse(name)
  local wanted, first = {}, true
  for part in (NAMED[name] or name):gmatch("[^;]+") do
    if first then
      wanted.name, first = part, false
    else
      local key, value = part:match("^([%w_]+)=(.*)$")
      key = key or part
      local kind = KINDS[key]
      if kind == nil then return nil, "unknown behaviour: " .. key end
      local decoded = read(kind, value)
      if decoded == nil then return nil, "not a " .. kind .. " for " .. key end
      wanted[key] = decoded
    end
  end
  return wanted
end

return behaviour
