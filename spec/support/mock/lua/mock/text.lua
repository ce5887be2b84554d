--- The words the mock says, and how they are written as JSON.

local cjson = require "cjson"

local text = {}

local WORDS = {
  "Hello", " from", " the", " mock", " model", ".", " Every", " word", " here", " is", " one", " token", ",",
  " sent", " at", " a", " steady", " pace", ",", " so", " that", " you", " can", " watch", " it", " stream", ".",
}

local function code_point(bytes)
  local first = bytes:byte(1)
  if first < 0x80 then return first end
  local point = first < 0xE0 and first % 0x20 or first < 0xF0 and first % 0x10 or first % 0x08
  for index = 2, #bytes do point = point * 64 + bytes:byte(index) % 64 end
  return point
end

local function escaped(bytes)
  local point = code_point(bytes)
  if point < 0x10000 then return string.format("\\u%04x", point) end
  point = point - 0x10000
  return string.format("\\u%04x\\u%04x", 0xD800 + math.floor(point / 1024), 0xDC00 + point % 1024)
end

--- Writes a string as JSON. `ascii`: everything else as `\u` escapes, as a Python server does.
function text.json(value, ascii)
  local written = cjson.encode(value):gsub("\\/", "/")
  if ascii then written = written:gsub("[\194-\244][\128-\191]*", escaped) end
  return written
end

local function characters(value)
  local list = {}
  for character in value:gmatch("[%z\1-\127\194-\244][\128-\191]*") do list[#list + 1] = character end
  return list
end

--- Cuts a text into deltas: `piece` characters each, or into words that keep the space before them.
function text.pieces(value, piece)
  local list = {}
  if piece then
    local all = characters(value)
    for index = 1, #all, piece do
      list[#list + 1] = table.concat(all, "", index, math.min(index + piece - 1, #all))
    end
    return list
  end
  for word in value:gmatch("%s*%S+") do list[#list + 1] = word end
  return list
end

--- The deltas of an answer: the text asked for, or `tokens` words of the mock's own.
function text.deltas(wanted, prompt)
  local own = wanted.text or wanted.echo and prompt or nil
  if own then
    local list = text.pieces(own, wanted.piece)
    for index = #list, (wanted.tokens or #list) + 1, -1 do list[index] = nil end
    return list
  end
  local list = {}
  for index = 1, wanted.tokens or 8 do list[index] = WORDS[(index - 1) % #WORDS + 1] end
  return list
end

return text
