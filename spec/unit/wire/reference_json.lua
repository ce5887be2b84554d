-- A plain validator of what the walker accepts, written to be read and not to be fast: RFC 8259 by recursive descent,
-- UTF-8 by the table in section 4 of RFC 3629, no key twice in an object, at most 128 levels.

local reference = {}

-- The lead bytes of well-formed sequences, with the range that their second byte must lie in and how many follow it.
local SEQUENCES = {
    { 0xC2, 0xDF, 0x80, 0xBF, 0 },
    { 0xE0, 0xE0, 0xA0, 0xBF, 1 },
    { 0xE1, 0xEC, 0x80, 0xBF, 1 },
    { 0xED, 0xED, 0x80, 0x9F, 1 },
    { 0xEE, 0xEF, 0x80, 0xBF, 1 },
    { 0xF0, 0xF0, 0x90, 0xBF, 2 },
    { 0xF1, 0xF3, 0x80, 0xBF, 2 },
    { 0xF4, 0xF4, 0x80, 0x8F, 2 },
}

local value

local function blank(text, at)
    return text:match("^[ \t\r\n]*()", at)
end

-- The position after a well-formed sequence beyond ASCII, or nil.
local function sequence(text, at)
    local lead, second = text:byte(at, at + 1)
    for _, row in ipairs(SEQUENCES) do
        if lead >= row[1] and lead <= row[2] then
            if not second or second < row[3] or second > row[4] then
                return nil
            end
            for extra = 1, row[5] do
                local byte = text:byte(at + 1 + extra)
                if not byte or byte < 0x80 or byte > 0xBF then
                    return nil
                end
            end
            return at + 2 + row[5]
        end
    end
    return nil
end

local SHORT = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

-- The position after a string, and what tells it apart from every other: its code units, escapes decoded.
local function string_at(text, at)
    if text:sub(at, at) ~= '"' then
        return nil
    end
    at = at + 1
    local content = {}
    while true do
        local character = text:sub(at, at)
        local byte = character:byte()
        if not byte or byte < 0x20 then
            return nil
        elseif character == '"' then
            return at + 1, table.concat(content)
        elseif character == "\\" then
            local letter = text:sub(at + 1, at + 1)
            if SHORT[letter] then
                content[#content + 1] = SHORT[letter]
                at = at + 2
            else
                local digits = text:match("^u(%x%x%x%x)", at + 1)
                if not digits then
                    return nil
                end
                local unit = tonumber(digits, 16)
                at = at + 6
                if unit >= 0xDC00 and unit <= 0xDFFF then
                    return nil
                elseif unit >= 0xD800 and unit <= 0xDBFF then
                    local low = text:match("^\\u([dD][c-fC-F]%x%x)", at)
                    if not low then
                        return nil
                    end
                    unit = 0x10000 + (unit - 0xD800) * 0x400 + tonumber(low, 16) - 0xDC00
                    at = at + 6
                end
                if unit < 0x80 then
                    content[#content + 1] = string.char(unit)
                elseif unit < 0x800 then
                    content[#content + 1] = string.char(0xC0 + math.floor(unit / 0x40), 0x80 + unit % 0x40)
                elseif unit < 0x10000 then
                    content[#content + 1] = string.char(0xE0 + math.floor(unit / 0x1000), 0x80 + math.floor(unit / 0x40) % 0x40,
                        0x80 + unit % 0x40)
                else
                    content[#content + 1] = string.char(0xF0 + math.floor(unit / 0x40000), 0x80 + math.floor(unit / 0x1000) % 0x40,
                        0x80 + math.floor(unit / 0x40) % 0x40, 0x80 + unit % 0x40)
                end
            end
        elseif byte < 0x80 then
            content[#content + 1] = character
            at = at + 1
        else
            local following = sequence(text, at)
            if not following then
                return nil
            end
            content[#content + 1] = text:sub(at, following - 1)
            at = following
        end
    end
end

local function number_at(text, at)
    at = text:match("^%-?()", at)
    local whole = text:match("^0()", at) or text:match("^[1-9]%d*()", at)
    if not whole then
        return nil
    end
    local fraction = text:match("^%.%d+()", whole) or whole
    return text:match("^[eE][+-]?%d+()", fraction) or fraction
end

local function array_at(text, at, level)
    at = blank(text, at + 1)
    if text:sub(at, at) == "]" then
        return at + 1
    end
    while true do
        at = value(text, at, level)
        if not at then
            return nil
        end
        at = blank(text, at)
        local mark = text:sub(at, at)
        if mark == "]" then
            return at + 1
        elseif mark ~= "," then
            return nil
        end
        at = blank(text, at + 1)
    end
end

local function object_at(text, at, level)
    local seen = {}
    at = blank(text, at + 1)
    if text:sub(at, at) == "}" then
        return at + 1
    end
    while true do
        local following, key = string_at(text, at)
        if not following or seen[key] then
            return nil
        end
        seen[key] = true
        at = blank(text, following)
        if text:sub(at, at) ~= ":" then
            return nil
        end
        at = value(text, blank(text, at + 1), level)
        if not at then
            return nil
        end
        at = blank(text, at)
        local mark = text:sub(at, at)
        if mark == "}" then
            return at + 1
        elseif mark ~= "," then
            return nil
        end
        at = blank(text, at + 1)
    end
end

-- The position after the value, or nil.
function value(text, at, level)
    local first = text:sub(at, at)
    if first == "{" then
        return level < 128 and object_at(text, at, level + 1) or nil
    elseif first == "[" then
        return level < 128 and array_at(text, at, level + 1) or nil
    elseif first == '"' then
        return (string_at(text, at))
    end
    return text:match("^true()", at) or text:match("^false()", at) or text:match("^null()", at) or number_at(text, at)
end

function reference.accepts(text)
    local at = value(text, blank(text, 1), 0)
    return at ~= nil and blank(text, at) == #text + 1
end

return reference
