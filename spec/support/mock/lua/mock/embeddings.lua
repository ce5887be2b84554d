--- `/v1/embeddings`: vectors that depend on the text only, as numbers or as base64 of little-endian floats.

local ffi = require "ffi"
local text = require "mock.text"
local prompt = require "mock.prompt"

local embeddings = {}

local function vector_of(input, size)
  local seed, vector = ngx.crc32_long(tostring(input)), {}
  for index = 1, size do
    seed = (seed * 69069 + 1) % 4294967296
    vector[index] = math.floor(seed / 65536) / 32768 - 1
  end
  return vector
end

local function written(vector, base64)
  if base64 then
    local floats = ffi.new("float[?]", #vector)
    for index, value in ipairs(vector) do floats[index - 1] = value end
    return '"' .. ngx.encode_base64(ffi.string(floats, 4 * #vector)) .. '"'
  end
  local numbers = {}
  for index, value in ipairs(vector) do numbers[index] = string.format("%.7f", value) end
  return "[" .. table.concat(numbers, ",") .. "]"
end

--- The answer to a request; there is no stream of embeddings.
function embeddings.json(request, wanted)
  local inputs = request.input
  if type(inputs) ~= "table" or type(inputs[1]) == "number" then inputs = { inputs } end
  local list = {}
  for index, input in ipairs(inputs) do
    if type(input) == "table" then input = table.concat(input, ",") end
    list[index] = string.format('{"object":"embedding","index":%d,"embedding":%s}', index - 1,
      written(vector_of(input, tonumber(request.dimensions) or 8), request.encoding_format == "base64"))
  end
  local count = prompt.figures(wanted, 0)
  return string.format('{"object":"list","data":[%s],"model":%s%s}', table.concat(list, ","),
    text.json(request.model or "mock"),
    wanted.usage ~= "none" and string.format(',"usage":{"prompt_tokens":%d,"total_tokens":%d}', count, count) or "")
end

return embeddings
