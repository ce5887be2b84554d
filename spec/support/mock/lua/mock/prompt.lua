--- What a request asks, as far as the mock's answers depend on it.

local cjson = require "cjson"
local text = require "mock.text"

local prompt = {}

local SAMPLES = { string = "Hangzhou", integer = 7, number = 7.5, boolean = true }

--- Whether a member is there and is not JSON's null.
function prompt.given(value)
  return value ~= nil and value ~= cjson.null
end

local function content_text(content)
  if type(content) == "string" then return content end
  if type(content) ~= "table" then return "" end
  local parts = {}
  for _, part in ipairs(content) do
    if type(part) == "table" and type(part.text) == "string" then parts[#parts + 1] = part.text end
  end
  return table.concat(parts, " ")
end

--- The text of the last message, or of the prompt or input that is a string.
function prompt.last_text(request)
  local source = request.messages or request.input or request.prompt
  if type(source) ~= "table" then return type(source) == "string" and source or "" end
  local last = source[#source]
  if type(last) == "table" then return content_text(last.content) end
  return type(last) == "string" and last or ""
end

local function last_is_tool_result(request)
  local source = request.messages or request.input
  local last = type(source) == "table" and source[#source]
  if type(last) ~= "table" then return false end
  if last.role == "tool" or last.type == "function_call_output" then return true end
  local first = type(last.content) == "table" and last.content[1]
  return type(first) == "table" and first.type == "tool_result"
end

local function sample(schema)
  if type(schema) ~= "table" then return '"Hangzhou"' end
  if type(schema.enum) == "table" then return text.json(schema.enum[1]) end
  if schema.type == "array" then return "[]" end
  if schema.type == "object" then return "{}" end
  return cjson.encode(SAMPLES[schema.type] or "Hangzhou")
end

local function arguments_for(schema)
  local names = {}
  if type(schema) == "table" and type(schema.properties) == "table" then
    for name in pairs(schema.properties) do names[#names + 1] = name end
  end
  table.sort(names)
  local members = {}
  for _, name in ipairs(names) do
    members[#members + 1] = text.json(name) .. ":" .. sample(schema.properties[name])
  end
  return "{" .. table.concat(members, ",") .. "}"
end

--- The tool calls to make: a list of `{name, arguments}`, empty if none are asked for. A result that has
-- come back is answered in words.
function prompt.tool_calls(request, wanted)
  local tools, list = request.tools, {}
  if type(tools) ~= "table" or request.tool_choice == "none" or last_is_tool_result(request) then return list end
  for index = 1, wanted.calls or 1 do
    local tool = tools[(index - 1) % math.max(#tools, 1) + 1]
    if type(tool) == "table" then
      local described = type(tool["function"]) == "table" and tool["function"] or tool
      list[#list + 1] = {
        id = "call_mock" .. index,
        name = described.name or "unnamed",
        arguments = arguments_for(described.parameters or described.input_schema),
      }
    end
  end
  return list
end

--- The figures of `usage`: input, cached part of it, output.
function prompt.figures(wanted, written)
  return wanted.prompt or 11, wanted.cached or 0, wanted.completion or written
end

return prompt
