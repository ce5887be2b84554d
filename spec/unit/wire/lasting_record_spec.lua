-- Records that are used again: a member is found at the same place in all of them, whatever they have been through.

local answer_reader = require("sluice.wire.answer_reader")
local lasting_record = require("sluice.wire.lasting_record")
local reservation = require("sluice.limit.reservation")
local walking = require("spec.unit.wire.walking")

local random = math.random

-- The order of a table's keys is that of their places.
local function places(record)
    local keys = {}
    for key in pairs(record) do
        keys[#keys + 1] = tostring(key)
    end
    return table.concat(keys, " ")
end

-- Members come and go in any order, and all have a value at last.
local function wear(record, keys)
    for _ = 1, 2000 do
        record[keys[random(#keys)]] = random(3) > 1 and random() or nil
    end
    for _, key in ipairs(keys) do
        record[key] = 1
    end
    return record
end

describe("a record that lasts", function()
    walking.seed("lasting records")

    it("has nothing where nothing is, and all else as it was given", function()
        local made = lasting_record.lasting({ a = 1, b = lasting_record.ABSENT, c = false, d = "x" })
        assert.same({ a = 1, c = false, d = "x" }, made)
    end)

    it("keeps the places of its members, whatever comes and goes", function()
        for count = 1, 100 do
            local names, fields = {}, {}
            for index = 1, count do
                names[index] = ("m%d_%d"):format(index, random(1000000))
                fields[index] = names[index] .. (random(2) == 1 and " = ABSENT" or " = " .. random(9))
            end
            local make = assert(loadstring("local ABSENT = ... return {" .. table.concat(fields, ", ") .. "}"))
            local expected
            for _ = 1, 5 do
                local worn = places(wear(lasting_record.lasting(make(lasting_record.ABSENT)), names))
                expected = expected or worn
                assert.equal(expected, worn)
            end
        end
    end)

    it("is what is used for every answer and reservation", function()
        for _, make in ipairs({ function() return answer_reader.new_answer("chat", true) end, reservation.take_reservation }) do
            local first = make()
            for _, value in pairs(first) do
                assert.is_true(value ~= lasting_record.ABSENT)
            end
        end
    end)
end)
