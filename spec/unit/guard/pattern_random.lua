-- Random texts that hold numbers and addresses, right ones and nearly right ones, among what confuses.

local reference = require("spec.unit.guard.pattern_reference")

local random = math.random
local texts = {}

local function pick(list) return list[random(#list)] end

local function digits(count)
    local made = {}
    for index = 1, count do
        made[index] = random(0, 9)
    end
    return table.concat(made)
end

-- Separators between groups, mostly of the kinds that may be there.
local function joiner() return pick({ "-", " ", "-", " ", "-", " ", "- ", "--", "  ", " - ", ".", "" }) end

-- Cuts the digits where `sizes` say, or anywhere.
local function group(number, sizes)
    local parts = {}
    local at = 1
    local between = random(3) > 1 and joiner()
    for index = 1, #number do
        if at > #number then
            break
        end
        local size = sizes[index] or random(4)
        parts[#parts + 1] = number:sub(at, at + size - 1)
        parts[#parts + 1] = between or joiner()
        at = at + size
    end
    parts[#parts] = nil
    return table.concat(parts)
end

local function mobile()
    local number = pick({ "", "", "86", "0086", "+86", "+", "86 ", "+86-" }) .. "1" .. random(2, 9) .. digits(9)
    return pick({ number, group(number, { 3, 4, 4 }), group(number, { 3, 2, 2, 2, 2 }), group(number, {}), (number:gsub("%d", "%0 ")) })
end

local function identity()
    local year = pick({ "19", "20", "18", "21" }) .. digits(2)
    local number = random(0, 9) .. digits(5) .. year .. ("%02d%02d"):format(random(0, 13), random(0, 32)) .. digits(3)
    if random(3) > 1 then
        number = random(9) .. digits(5) .. pick({ "19840229", "20000229", "19000228", "20231231", "19900430" }) .. digits(3)
    end
    number = number .. (random(4) > 1 and reference.id_check(number) or pick({ "X", "1" }))
    return pick({ number, number:lower(), group(number, { 6, 8, 4 }), group(number, {}) })
end

local function card()
    local number = pick({ "2", "22", "3", "4", "5", "6", "1" }) .. digits(random(10, 17))
    number = number .. reference.luhn_digit(number)
    return pick({ number, group(number, { 4, 4, 4, 4, 4 }), group(number, { 4, 6, 5 }), group(number, { 6, 13 }), group(number, {}) })
end

local function social()
    local area = pick({ "000", "666", "9" .. digits(2), digits(3), digits(3), digits(3) })
    return area .. pick({ "-", " " }) .. pick({ "00", digits(2), digits(2) }) .. pick({ "-", " " }) .. pick({ "0000", digits(4), digits(4) })
end

local function letters(count) return ("abx"):sub(random(3), -1):rep(count):sub(1, count) end

local function address()
    local name = pick({ "a", "a.b", "a..b", ".a", "a.", "x_1+2%", "-", letters(63), letters(64), letters(65), "1381234567" })
    local domain = pick({
        "b.com", "b.com.cn", "b.c", "b.com.", "b-.com", "-b.com", "b.co-m", "b.com5", "b..com", "b@c.org", "1.xx", "b.com-5", "b",
        letters(random(60, 63)) .. "." .. letters(random(60, 63)) .. "." .. letters(63) .. "." .. letters(random(58, 60)) .. ".co",
    })
    return name .. "@" .. domain
end

local ALPHABET = { "0", "1", "3", "8", "6", "1", "4", "-", " ", "a", "x", "X", ".", "@", "_", "+", "~", "#", "!" }

local function noise(least, most)
    local made = {}
    for index = 1, random(least, most) do
        made[index] = pick(ALPHABET)
    end
    return table.concat(made)
end

-- One character less, more, or another.
local function spoil(text)
    local at = random(#text)
    return text:sub(1, at - random(0, 1)) .. pick({ "", pick(ALPHABET) }) .. text:sub(at + 1)
end

local function little_noise() return noise(0, 6) end

function texts.random_text()
    if random(6) == 1 then
        return noise(10, 60)
    end
    local parts = {}
    for index = 1, random(4) do
        local part = pick({ mobile, identity, card, social, address, little_noise })()
        if random(3) == 1 and #part > 0 then
            part = spoil(part)
        end
        parts[index] = part .. pick({ "", " ", "-", ".", "@", "#", "x", little_noise() })
    end
    return table.concat(parts)
end

return texts
