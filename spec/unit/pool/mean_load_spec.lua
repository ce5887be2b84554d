local fields = require("spec.unit.pool.fields")
local mean_load = require("sluice.pool.mean_load")
local walking = require("spec.unit.wire.walking")

local function mean_of(mean, field, index, now)
    return mean_load.mean_load(mean, field, index, field.endpoints[index + 1].running, now)
end

-- The mean, by asking all.
local function plain(field)
    local total, weight = 0, 0
    for _, each in ipairs(field.endpoints) do
        if each.usable ~= false then total, weight = total + each.running, weight + (each.weight or 1) end
    end
    return total / weight
end

local function random_field(count)
    local endpoints = {}
    for index = 1, count do
        endpoints[index] = { weight = math.random(9), usable = index == 1 or math.random() < 0.8, running = math.random(0, 9) }
    end
    return fields.field(endpoints)
end

describe("the mean load", function()
    before_each(function() walking.seed("mean load") end)

    it("is that of all endpoints that can be used, once a second", function()
        for count = 1, 40 do
            local field = random_field(count)
            local mean = mean_load.new_mean(count)
            for second = 0, 5 do
                assert.is_true(math.abs(plain(field) - mean_of(mean, field, 0, second)) < 1e-9)
                for index, each in ipairs(field.endpoints) do
                    each.running = math.random(0, 9)
                    if index > 1 then
                        each.usable = math.random() < 0.5
                        field.usable[index - 1] = each.usable and 1 or 0
                    end
                end
            end
        end
    end)

    it("has caught up with all after half as many picks as there are endpoints, and asks two in each", function()
        local field = random_field(100)
        local mean = mean_load.new_mean(100)
        mean_of(mean, field, 0, 7)
        for _, each in ipairs(field.endpoints) do each.running = each.running + 5 end
        fields.forget_questions(field)
        local last
        for _ = 1, 50 do last = mean_of(mean, field, 0, 7.5) end
        assert.is_true(math.abs(plain(field) - last) < 1e-9)
        assert.is_true(field.questions <= 100, field.questions)
    end)

    it("counts what the endpoint at hand has under way at once", function()
        local field = fields.field({ { running = 0 }, { running = 0 }, { running = 0 }, { running = 0 }, { running = 0 }, { running = 0 } })
        local mean = mean_load.new_mean(6)
        mean_of(mean, field, 0, 0)
        field.endpoints[6].running = 3
        assert.equal(0.5, mean_of(mean, field, 5, 0))
    end)
end)
