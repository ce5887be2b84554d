local ffi = require("ffi")

local feeding = require("spec.unit.guard.pattern_feeding")
local pattern = require("sluice.guard.pattern")
local pattern_queue = require("sluice.guard.pattern_queue")
local reference = require("spec.unit.guard.pattern_reference")

-- What that one pattern finds, in the order of their beginnings.
local function found(which, text)
    local list = {}
    for index, each in ipairs(feeding.feed(text, which)) do
        list[index] = text:sub(each[2], each[3])
    end
    return list
end

-- How many characters of the end are held back.
local function held(which, text)
    local live
    feeding.feed(text, which, function(index, state) live = pattern.pattern_live(state, which, index) end)
    return live < 0 and 0 or #text - (live - 1) / 5 + 1
end

local function finds(which, cases)
    for text, expected in pairs(cases) do
        it("in: " .. text, function() assert.same(expected, found(which, text)) end)
    end
end

-- An identity number with its last place.
local function identity(digits) return digits .. reference.id_check(digits) end

describe("the pattern of mobile numbers finds", function()
    finds(reference.MOBILE, {
        ["13812345678"] = { "13812345678" },
        ["##13812345678##"] = { "13812345678" },
        ["138 1234 5678."] = { "138 1234 5678" },
        ["138-1234-5678"] = { "138-1234-5678" },
        ["138 - 1234"] = {},
        ["138- 1234- 5678"] = { "138- 1234- 5678" },
        ["138 - 1234 - 5678"] = {},
        ["1 3 8 1 2 3 4 5 6 7 8"] = { "1 3 8 1 2 3 4 5 6 7 8" },
        ["15 2024 10 300"] = {},
        ["+8613812345678"] = { "8613812345678" },
        ["+86 138 1234 5678"] = { "138 1234 5678" },
        ["8613812345678"] = { "8613812345678" },
        ["008613812345678"] = { "008613812345678" },
        ["+13812345678"] = {},
        ["13812345678 13912345678"] = { "13812345678", "13912345678" },
        ["12812345678"] = {},
        ["1381234567"] = {},
        ["138123456789"] = {},
        ["913812345678"] = {},
        ["a13812345678"] = {},
        ["x13812345678"] = {},
        ["13812345678a"] = {},
        ["13812345678x"] = {},
        ["~13812345678"] = {},
        ["13812345678~"] = {},
        ["_13812345678"] = {},
        ["13812345678_"] = {},
        ["0.13812345678"] = {},
        ["no.13812345678"] = { "13812345678" },
        ["(13812345678)"] = { "13812345678" },
        ["13812345678@b.com"] = { "13812345678" },
    })
end)

describe("the pattern of identity numbers finds", function()
    local plain = identity("11010519900307283")
    local with_x = "11010519491231002X"
    assert(identity(with_x:sub(1, 17)) == with_x)
    local leap = identity("11010520000229001")
    finds(reference.ID, {
        [plain] = { plain },
        ["#" .. with_x .. "#"] = { with_x },
        [with_x:lower()] = { with_x:lower() },
        [with_x .. "a"] = {},
        [with_x .. "1"] = {},
        ["110105 19491231 002X"] = { "110105 19491231 002X" },
        ["110105-1949-1231-002x."] = { "110105-1949-1231-002x" },
        ["110105 19491231 002 X"] = {},
        ["110105194912310021"] = {},
        [leap] = { leap },
        [identity("11010520010229001")] = {},
        [identity("11010519000229001")] = {},
        [identity("11010518991231001")] = {},
        [identity("11010521000101001")] = {},
        [identity("11010519901301001")] = {},
        [identity("11010519900431001")] = {},
        [identity("11010519900400001")] = {},
        [identity("01010519900307283")] = {},
        ["a" .. plain] = {},
        [with_x .. "-" .. with_x] = { with_x, with_x },
    })
end)

describe("the pattern of payment cards finds", function()
    finds(reference.CARD, {
        ["4111111111111111"] = { "4111111111111111" },
        ["4111 1111 1111 1111"] = { "4111 1111 1111 1111" },
        ["4111-1111-1111-1111,"] = { "4111-1111-1111-1111" },
        ["3782 822463 10005"] = { "3782 822463 10005" },
        ["5555555555554444"] = { "5555555555554444" },
        ["6011 1111 1111 1117"] = { "6011 1111 1111 1117" },
        ["4222222222222"] = { "4222222222222" },
        ["2223003122003222"] = { "2223003122003222" },
        ["4111 1111 1111 1112"] = {},
        ["4111  1111 1111 1111"] = {},
        ["41 11111111111111"] = {},
        ["411111111111111 1"] = {},
        ["4444444444444444"] = {},
        ["1111111111111117"] = {},
        ["20240101000001" .. reference.luhn_digit("20240101000001")] = {},
        ["99 4111111111111111"] = { "4111111111111111" },
        ["94111111111111111"] = {},
        ["41111111111111110000"] = {},
        ["9411111111111111111" .. reference.luhn_digit("411111111111111111")] = {},
        ["x4111111111111111"] = {},
        ["0.4111111111111111"] = {},
    })
end)

describe("the pattern of social security numbers finds", function()
    finds(reference.SSN, {
        ["078-05-1120"] = { "078-05-1120" },
        ["SSN: 219 09 9999."] = { "219 09 9999" },
        ["078-05 1120"] = {},
        ["078--05--1120"] = {},
        ["078051120"] = {},
        ["078-051-120"] = {},
        ["000-05-1120"] = {},
        ["666-05-1120"] = {},
        ["900-05-1120"] = {},
        ["665-05-1120"] = { "665-05-1120" },
        ["078-00-1120"] = {},
        ["078-05-0000"] = {},
        ["1078-05-1120"] = {},
        ["078-05-11201"] = {},
        ["a078-05-1120"] = {},
    })
end)

describe("the pattern of e-mail addresses finds", function()
    local longest = ("a"):rep(64)
    local domain = (("b"):rep(61) .. "1."):rep(4) .. "com"
    assert(#domain == 255)
    finds(reference.EMAIL, {
        ["a@b.com"] = { "a@b.com" },
        ["a@b.com."] = { "a@b.com" },
        ["a@b.com.cn"] = { "a@b.com.cn" },
        ["a@b.com. Then"] = { "a@b.com" },
        ["#a.b+c_d%e-f@b-c.x1.org#"] = { "a.b+c_d%e-f@b-c.x1.org" },
        ["a@b"] = {},
        ["a@b.c"] = {},
        ["a@b.c1"] = {},
        ["a@b.com5"] = {},
        ["a@b.com.5"] = { "a@b.com" },
        ["a@b.com-"] = { "a@b.com" },
        ["a@b.com-c.org"] = { "a@b.com-c.org" },
        ["a@-b.com"] = {},
        ["a@b-.com"] = {},
        ["a@b..com"] = {},
        ["a@.com"] = {},
        ["@b.com"] = {},
        ["a.@b.com"] = {},
        [".a@b.com"] = { "a@b.com" },
        ["a..b@c.com"] = { "b@c.com" },
        ["Write......to@c.com"] = { "to@c.com" },
        ["a@b@c.com"] = { "b@c.com" },
        ["a@b.com@c.com"] = { "a@b.com", "b.com@c.com" },
        ["a @b.com"] = {},
        [longest .. "@b.com"] = { longest .. "@b.com" },
        ["a" .. longest .. "@b.com"] = {},
        ["a@" .. domain] = { "a@" .. domain },
        ["a@b" .. domain] = {},
    })
end)

describe("the patterns", function()
    it("are told apart in one text", function()
        local text = "138 1234 5678, 4111 1111 1111 1111, 078-05-1120, 11010519491231002X, a@b.com"
        assert.same({ { 1, 1, 13 }, { 4, 16, 34 }, { 8, 37, 47 }, { 2, 50, 67 }, { 16, 70, 76 } }, feeding.feed(text))
    end)

    it("have names in the order of their bits", function()
        assert.same({ "cn_mobile", "cn_id_card", "payment_card", "us_ssn", "email" }, pattern.PATTERN_NAMES)
    end)

    it("wake for nothing if none is wanted, and forget a text when they are reset", function()
        local state = pattern.new_pattern_state()
        pattern.pattern_reset(state, 0)
        assert.equal(0, state.wake)
        pattern.pattern_reset(state, 31)
        local wake = state.wake
        local queue = pattern_queue.new_queue()
        for index = 1, 10 do
            pattern_queue.enqueue(queue, 17, index, index + 1, index - 1)
        end
        assert.equal(10, pattern.numbers_in(state, 31, queue, 0))
        assert.equal(10, pattern.addresses_in(state, 31, queue, 0))
        assert.is_true(pattern.pattern_live(state, 31, 10) >= 0)
        pattern.pattern_reset(state, 31)
        assert.equal(-1, pattern.pattern_live(state, 31, 0))
        assert.equal(wake, state.wake)
        assert.equal(0, pattern.pattern_end(state, 31))
    end)

    it("are asleep only while no number is under way, and no address is looked for", function()
        local state = pattern.new_pattern_state()
        local queue = pattern_queue.new_queue()
        for _, wanted in ipairs({ 1, 15, 16, 31 }) do
            pattern.pattern_reset(state, wanted)
            assert.equal(wanted < 16, pattern.is_asleep(state))
            for _, case in ipairs({ { 17, false }, { 6, false }, { 9, true }, { 17, false }, { 4, false }, { 1, true } }) do
                pattern_queue.enqueue(queue, case[1], 0, 1, 0)
                pattern.numbers_in(state, wanted, queue, 0)
                pattern.addresses_in(state, wanted, queue, 0)
                pattern.queue_is_read(state, wanted, queue)
                assert.equal(0, queue.length)
                assert.equal(wanted < 16 and case[2], pattern.is_asleep(state))
            end
        end
    end)

    it("keep all they know in 400 bytes", function() assert.is_true(ffi.sizeof("sluice_pattern") <= 400) end)

    it("stay within what they have room for, whatever digits come", function()
        for _, text in ipairs({ ("1"):rep(5000), ("4 "):rep(5000), ("1234-"):rep(2000), ("0.0"):rep(2000), ("86-"):rep(3000) }) do
            feeding.feed(text .. " 13812345678")
            assert.same({ "13812345678" }, found(reference.MOBILE, text .. ", 13812345678"))
        end
    end)

    it("lose none of the matches that end at one place", function()
        for round = 1, 500 do
            local groups = {}
            for index = 1, 8 do
                groups[index] = ("%03d"):format((round * index * 7919 + index) % 1000)
            end
            local text = "0086138-" .. table.concat(groups, "-")
            assert.same(feeding.listed(text, reference.find(text)), feeding.listed(text, feeding.feed(text)))
        end
    end)
end)

describe("what is held back", function()
    local cases = {
        { reference.MOBILE, "call 138", 3 },
        { reference.MOBILE, "call 138-", 4 },
        { reference.MOBILE, "call 138--", 5 },
        { reference.MOBILE, "call 138---", 0 },
        { reference.MOBILE, "call 13812345678", 11 },
        { reference.MOBILE, "call 138123456789", 0 },
        { reference.MOBILE, "call 138 ", 4 },
        { reference.MOBILE, "call 12", 0 },
        { reference.MOBILE, "call 0086", 4 },
        { reference.MOBILE, "in 2024", 0 },
        { reference.MOBILE, "a138", 0 },
        { reference.MOBILE, "1.138", 0 },
        { reference.MOBILE, "+1", 0 },
        { reference.MOBILE, "+86138", 5 },
        { reference.ID, "110105", 6 },
        { reference.ID, "1101053", 0 },
        { reference.ID, "11010519491231002", 17 },
        { reference.ID, "11010519491231002 ", 0 },
        { reference.ID, "11010519491231002X", 18 },
        { reference.ID, "110105194912310021", 0 },
        { reference.CARD, "4111 1111", 9 },
        { reference.CARD, "4111  ", 0 },
        { reference.CARD, "2024", 0 },
        { reference.CARD, "41111111111111111111", 0 },
        { reference.SSN, "078-0", 5 },
        { reference.SSN, "0780", 0 },
        { reference.SSN, "9", 0 },
        { reference.SSN, "078-05-1120", 11 },
        { reference.SSN, "078-05 ", 0 },
        { reference.EMAIL, "some word", 4 },
        { reference.EMAIL, "some word ", 0 },
        { reference.EMAIL, ("a"):rep(64), 64 },
        { reference.EMAIL, ("a"):rep(65), 0 },
        { reference.EMAIL, ("a"):rep(63) .. ".", 0 },
        { reference.EMAIL, "a@", 2 },
        { reference.EMAIL, "a@b.com.", 8 },
        { reference.EMAIL, "a@b.com ", 0 },
        { reference.EMAIL, "a@" .. ("b"):rep(252), 254 },
        { reference.EMAIL, "a@" .. ("b"):rep(253), 0 },
        { reference.EMAIL, "..", 0 },
    }
    for _, case in ipairs(cases) do
        it(("of %q: %d characters"):format(case[2], case[3]), function() assert.equal(case[3], held(case[1], case[2])) end)
    end

    it("is only what the patterns that are asked for may need", function()
        local state = pattern.new_pattern_state()
        local queue = pattern_queue.new_queue()
        pattern.pattern_reset(state, 31)
        pattern_queue.enqueue(queue, 17, 40, 41, 10)
        pattern.numbers_in(state, 31, queue, 0)
        assert.equal(40, pattern.pattern_live(state, reference.MOBILE, 11))
        assert.equal(-1, pattern.pattern_live(state, reference.CARD, 11))
        assert.equal(-1, pattern.pattern_live(state, 0, 11))
    end)
end)
