-- The patterns as a definition: which parts of a whole text match, without any machine. Texts are ASCII; `#` stands for a Chinese
-- character, `~` for a letter of another script that sets words apart, other marks for themselves.

local reference = {}

reference.MOBILE, reference.ID, reference.CARD, reference.SSN, reference.EMAIL, reference.ALL = 1, 2, 4, 8, 16, 31
reference.PATTERNS = { 1, 2, 4, 8, 16 }

local MARKS = { ["@"] = 3, ["."] = 4, ["-"] = 5, [" "] = 6, ["_"] = 7, ["%"] = 7, ["+"] = 7, ["~"] = 8, ["#"] = 0, x = 2, X = 2 }

function reference.class(character)
    if character:find("%d") then
        return 16 + tonumber(character)
    end
    return MARKS[character] or (character:find("%a") and 1) or 9
end

local function luhn(digits)
    local sum = 0
    for back = 1, #digits do
        local value = tonumber(digits:sub(-back, -back))
        if back % 2 == 0 then
            value = value * 2
            value = value > 9 and value - 9 or value
        end
        sum = sum + value
    end
    return sum % 10 == 0
end

local WEIGHTS = { 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2 }

-- The last place that belongs to 17 digits, by the table of weights.
function reference.id_check(digits)
    local sum = 0
    for place = 1, 17 do
        sum = sum + WEIGHTS[place] * tonumber(digits:sub(place, place))
    end
    return ("10X98765432"):sub(sum % 11 + 1, sum % 11 + 1)
end

function reference.luhn_digit(digits)
    for last = 0, 9 do
        if luhn(digits .. last) then
            return tostring(last)
        end
    end
end

local DAYS = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function is_day(year, month, day)
    local leap = year % 400 == 0 or (year % 4 == 0 and year % 100 ~= 0)
    return year >= 1900 and year <= 2099 and month >= 1 and month <= 12 and day >= 1 and day <= DAYS[month]
        and (leap or month ~= 2 or day <= 28)
end

-- The groups of digits (and X at the end) and what joins them, or nil if it is something else.
local function split(part)
    local groups, joiners = {}, {}
    local at = 1
    while true do
        local from, to = part:find("^%d+", at)
        if not from then
            return nil
        end
        groups[#groups + 1] = part:sub(from, to)
        at = to + 1
        if at > #part then
            return groups, joiners, false
        end
        if part:find("^[xX]$", at) then
            return groups, joiners, true
        end
        from, to = part:find("^[- ][- ]?", at)
        if not from then
            return nil
        end
        joiners[#joiners + 1] = part:sub(from, to)
        at = to + 1
    end
end

local function each(list, from, holds)
    for index = from, #list do
        if not holds(list[index]) then
            return false
        end
    end
    return true
end

local is = {}

is[reference.MOBILE] = function(groups, _, tail, left)
    local digits = table.concat(groups)
    if tail then
        return false
    end
    for _, code in ipairs({ "", "86", "0086" }) do
        if digits:find("^" .. code .. "1[3-9]%d%d%d%d%d%d%d%d%d$") and (left == "free" or (left == "sign" and code == "86")) then
            local usual = #groups[1] >= #code + 3 and each(groups, 2, function(group) return #group >= 2 end)
            local spelled = code == "" and each(groups, 1, function(group) return #group == 1 end)
            if usual or spelled then
                return true
            end
        end
    end
    return false
end

is[reference.ID] = function(groups, _, tail, left)
    local digits = table.concat(groups) .. (tail and "X" or "")
    return left == "free" and #digits == 18 and digits:sub(1, 1) ~= "0"
        and is_day(tonumber(digits:sub(7, 10)), tonumber(digits:sub(11, 12)), tonumber(digits:sub(13, 14)))
        and reference.id_check(digits) == digits:sub(18)
end

is[reference.CARD] = function(groups, joiners, tail, left)
    local digits = table.concat(groups)
    if tail or left ~= "free" or #digits < 13 or #digits > 19 or digits:find("^(%d)%1*$") or not luhn(digits) then
        return false
    end
    if not digits:find("^[3-6]") and not digits:find("^2[2-7]") then
        return false
    end
    local single = each(joiners, 1, function(joiner) return #joiner == 1 end)
    return single and (#groups == 1 or #groups[1] >= 4) and each(groups, 2, function(group) return #group >= 3 end)
end

is[reference.SSN] = function(groups, joiners, tail, left)
    if tail or left ~= "free" or #groups ~= 3 or #groups[1] ~= 3 or #groups[2] ~= 2 or #groups[3] ~= 4 then
        return false
    end
    local area = groups[1]
    return #joiners[1] == 1 and joiners[1] == joiners[2] and area ~= "000" and area ~= "666" and area < "900" and groups[2] ~= "00"
        and groups[3] ~= "0000"
end

local function left_of(text, start)
    local before = text:sub(start - 1, start - 1)
    if start == 1 then
        return "free"
    elseif before:find("[%w~]") or text:sub(1, start - 1):find("%d%.$") then
        return "word"
    end
    return before:find("[_%%+]") and "sign" or "free"
end

-- Where the numbers of that pattern end that begin at `start`.
local function numbers_at(text, pattern, start)
    local found = {}
    if not text:find("^%d", start) or text:sub(1, start - 1):find("%d$") then
        return found
    end
    local left = left_of(text, start)
    for finish = start, math.min(#text, start + 70) do
        local after = text:sub(finish + 1, finish + 1)
        if not after:find("[%w~_%%+]") then
            local groups, joiners, tail = split(text:sub(start, finish))
            if groups and is[pattern](groups, joiners, tail, left) then
                found[#found + 1] = finish
            end
        end
    end
    return found
end

local function is_domain(part)
    local labels = 0
    local last
    for label in (part .. "."):gmatch("([^.]*)%.") do
        if not label:find("^%w[%w-]*$") or label:find("-$") then
            return false
        end
        labels = labels + 1
        last = label
    end
    return labels >= 2 and last:find("^%a%a+$") ~= nil
end

-- Where the address that has its `@` at `at` begins and ends.
local function address_at(text, at)
    local part = text:sub(1, at - 1):match("[%w._%%+-]*$")
    part = part:match("^.*%.%.(.*)$") or part
    part = part:gsub("^%.+", "")
    if #part < 1 or #part > 64 or part:find("%.$") then
        return nil
    end
    for finish = math.min(#text, at + 255), at + 4, -1 do
        if not text:find("^%w", finish + 1) and is_domain(text:sub(at + 1, finish)) then
            return at - #part, finish
        end
    end
end

-- Where the matches of that pattern end that begin at `start`.
function reference.ends(text, pattern, start)
    if pattern ~= reference.EMAIL then
        return numbers_at(text, pattern, start)
    end
    local found = {}
    for at = start + 1, math.min(#text, start + 64) do
        if text:sub(at, at) == "@" then
            local from, to = address_at(text, at)
            if from == start then
                found[#found + 1] = to
            end
        end
    end
    return found
end

-- All matches, each as `{ pattern, first, last }`.
function reference.find(text)
    local found = {}
    for start = 1, #text do
        for _, pattern in ipairs(reference.PATTERNS) do
            for _, finish in ipairs(reference.ends(text, pattern, start)) do
                found[#found + 1] = { pattern, start, finish }
            end
        end
    end
    return found
end

return reference
