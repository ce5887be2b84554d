-- Random JSON documents that keep a record of what was written: the text as code points, and the bytes of one wanted member.

local json = require("sluice.wire.json")

local random_json = {}

local random = math.random

local BLANKS = { "", "", "", "", " ", "\n", "\t", "\r\n", "  \n " }
local NUMBERS = {
    "0", "-0", "1", "-1", "10", "9223372036854775807", "-9223372036854775808", "18446744073709551616", "0.30000000000000004", "1e400",
    "1E-400", "1.0", "0e0", "0E+0", "-0.0e-0", "123456789012345678901234567890", "3.141592653589793238462643383279",
}
local SHORT = { [34] = '\\"', [92] = "\\\\", [47] = "\\/", [8] = "\\b", [12] = "\\f", [10] = "\\n", [13] = "\\r", [9] = "\\t" }

local function blank()
    return BLANKS[random(#BLANKS)]
end

local function code_point()
    local sort = random(10)
    if sort <= 5 then
        return random(0x20, 0x7E)
    elseif sort == 6 then
        return random(0x00, 0x1F)
    elseif sort == 7 then
        return random(0x80, 0x7FF)
    elseif sort == 8 then
        return random(2) == 1 and random(0x800, 0xD7FF) or random(0xE000, 0xFFFF)
    elseif sort == 9 then
        return random(0x10000, 0x10FFFF)
    end
    return ({ 0x22, 0x5C, 0x2F, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFEFF, 0xFFFF, 0x10000, 0x10FFFF })[random(13)]
end

local function unit(value)
    return (random(2) == 1 and "\\u%04x" or "\\u%04X"):format(value)
end

-- A code point as JSON may write it: as it is, by its short escape, by its code units.
local function written(value)
    local must = value < 0x20 or value == 0x22 or value == 0x5C
    if SHORT[value] and random(2) == 1 then
        return SHORT[value]
    elseif must or random(6) == 1 then
        if value < 0x10000 then
            return unit(value)
        end
        return unit(0xD800 + math.floor((value - 0x10000) / 0x400)) .. unit(0xDC00 + (value - 0x10000) % 0x400)
    end
    return json.encode_utf8(value)
end

local function string_value(record, length)
    local parts = { '"' }
    for _ = 1, length do
        local value = code_point()
        parts[#parts + 1] = written(value)
        record[#record + 1] = value
    end
    record[#record + 1] = -1
    parts[#parts + 1] = '"'
    return table.concat(parts)
end

local function value(record, depth)
    local sort = random(depth > 0 and 9 or 5)
    if sort <= 2 then
        return string_value(record, random(0, 12))
    elseif sort == 3 then
        return NUMBERS[random(#NUMBERS)]
    elseif sort <= 5 then
        return ({ "true", "false", "null" })[random(3)]
    elseif sort <= 7 then
        local parts = {}
        for _ = 1, random(0, 4) do
            parts[#parts + 1] = blank() .. value(record, depth - 1) .. blank()
        end
        return "[" .. table.concat(parts, ",") .. (#parts == 0 and blank() or "") .. "]"
    end
    local parts = {}
    for index = 1, random(0, 4) do
        -- The number in front keeps the keys of an object apart.
        record[#record + 1] = 48 + index
        local key = '"' .. index .. string_value(record, random(0, 5)):sub(2)
        parts[#parts + 1] = blank() .. key .. blank() .. ":" .. blank() .. value(record, depth - 1) .. blank()
    end
    return "{" .. table.concat(parts, ",") .. (#parts == 0 and blank() or "") .. "}"
end

-- A document; all code points of its strings and keys in order, -1 after each string.
function random_json.document(depth)
    local record = {}
    local text = value(record, depth)
    return blank() .. text .. blank(), record
end

-- An object with a member `wanted` somewhere among others, and that member's bytes.
function random_json.object_with_wanted(depth)
    local parts, inside = {}, nil
    local count = random(1, 4)
    local place = random(count)
    for index = 1, count do
        local bytes = value({}, depth)
        if index == place then
            inside = bytes
            local key = random(2) == 1 and "wanted" or "w\\u0061nted"
            parts[index] = blank() .. '"' .. key .. '"' .. blank() .. ":" .. blank() .. bytes .. blank()
        else
            parts[index] = '"' .. index .. '":' .. bytes
        end
    end
    return "{" .. table.concat(parts, ",") .. "}", inside
end

local PIECES = {
    "{", "}", "[", "]", ",", ":", '"', "\\", "u", "0", "1", "9", "-", "+", ".", "e", "E", " ", "\n", "\t", "\r", "a", "t", "true", "null",
    "\0", "\31", "\127", "\128", "\191", "\192", "\193", "\194", "\223", "\224", "\237", "\239", "\240", "\244", "\245", "\255",
    "\\u", "\\ud800", "\\udc00", "\\uD83D\\uDE00", "\\u0000", "\\x", "\\/", "\239\187\191", "\237\160\128", "\224\128\128", "\244\144\128\128",
    '"a":', '"a":1,"a":2', "//", "/**/", "'", "NaN", "Infinity", "\228\189\160", "\240\159\152\128", "{}", "[]", "0x1", "1e", "\12", "\11",
}

-- The document with one to three small things wrong, or not wrong after all.
function random_json.mutate(text)
    for _ = 1, random(3) do
        local at = random(0, #text)
        local sort = random(6)
        if sort == 1 then
            text = text:sub(1, at) .. text:sub(at + 2)
        elseif sort == 2 then
            text = text:sub(1, at) .. PIECES[random(#PIECES)] .. text:sub(at + 1)
        elseif sort == 3 then
            text = text:sub(1, at) .. PIECES[random(#PIECES)] .. text:sub(at + 2)
        elseif sort == 4 then
            text = text:sub(1, at) .. string.char(random(0, 255)) .. text:sub(at + 2)
        elseif sort == 5 then
            local to = math.min(#text, at + random(8))
            text = text:sub(1, to) .. text:sub(at + 1)
        elseif random(4) == 1 then
            text = text:sub(1, at)
        end
    end
    return text
end

return random_json
