local choose_module = require("sluice.route.choose")
local model_access = require("sluice.auth.model_access").model_access

-- 2024-01-01 was a Monday.
local MONDAY = 1704067200

local MODELS = { small = { name = "small" }, large = { name = "large" }, tools = { name = "tools" } }

local function compiled(...) return choose_module.compile_choices({ ... }, MODELS, model_access) end

-- The name of the model that is chosen; `headers_read` are the names of headers that were looked at.
local headers_read
local function chosen(choices, asked)
    asked = asked or {}
    headers_read = {}
    local reading = { prompt_tokens = asked.tokens or 100, stream = asked.stream or false, tools = asked.tools or false }
    return choose_module.choose(choices, reading, asked.tenant or "acme", asked.time or MONDAY, function(name)
        headers_read[#headers_read + 1] = name
        return (asked.headers or {})[name]
    end).name
end

local function when(conditions, ...)
    return chosen(compiled({ when = conditions, use = "small" }, { use = "large" }), ...)
end

describe("a model that is a rule", function()
    it("is the only one that there is, or the first that fits, or else the last", function()
        assert.equal("large", chosen(compiled({ use = "large" })))
        local choices = compiled(
            { when = { stream = true }, use = "tools" }, { when = { prompt_tokens_below = 50 }, use = "small" }, { use = "large" })
        assert.equal("tools", chosen(choices, { stream = true, tokens = 10 }))
        assert.equal("small", chosen(choices, { tokens = 49 }))
        assert.equal("large", chosen(choices, { tokens = 50 }))
    end)

    it("knows a prompt that is short enough: below, not at", function()
        assert.equal("small", when({ prompt_tokens_below = 100 }, { tokens = 99 }))
        assert.equal("large", when({ prompt_tokens_below = 100 }, { tokens = 100 }))
        assert.equal("small", when({ prompt_tokens_below = 1 }, { tokens = 0 }))
    end)

    it("takes false for a condition, and not for none", function()
        for _, member in ipairs({ "stream", "tools" }) do
            for _, wanted in ipairs({ true, false }) do
                for _, found in ipairs({ true, false }) do
                    assert.equal(wanted == found and "small" or "large", when({ [member] = wanted }, { [member] = found }))
                end
            end
        end
    end)

    it("knows tenants by names and patterns", function()
        for tenant, expected in pairs({ acme = "small", ["team-a"] = "small", team = "large", acme2 = "large" }) do
            assert.equal(expected, when({ tenants = { "acme", "team-*" } }, { tenant = tenant }), tenant)
        end
    end)

    it("reads a header's value letter for letter, and no header that no rule asks for", function()
        local gold = { header = { name = "X-Tier", values = { "gold", "very gold" } } }
        for value, expected in pairs({ gold = "small", ["very gold"] = "small", Gold = "large", ["gold, gold"] = "large", [""] = "large" }) do
            assert.equal(expected, when(gold, { headers = { x_tier = value } }), value)
        end
        assert.equal("large", when(gold))
        assert.same({ "x_tier" }, headers_read)
        when({ stream = false })
        assert.same({}, headers_read)
        -- Another condition fails first.
        when({ stream = true, header = { name = "X-Tier", values = { "gold" } } }, { headers = { x_tier = "gold" } })
        assert.same({}, headers_read)
    end)

    it("wants all conditions of a rule, not some", function()
        local all = {
            prompt_tokens_below = 50, stream = true, tools = true, tenants = { "acme" }, header = { name = "t", values = { "v" } },
            hours = "00:00-12:00", days = { "mon" },
        }
        local fitting = { tokens = 1, stream = true, tools = true, headers = { t = "v" }, time = MONDAY }
        assert.equal("small", when(all, fitting))
        for name, value in pairs({ tokens = 50, stream = false, tools = false, tenant = "else", headers = {}, time = MONDAY + 12 * 3600 }) do
            local changed = {}
            for member, other in pairs(fitting) do changed[member] = other end
            changed[name] = value
            assert.equal("large", when(all, changed), name)
        end
        fitting.time = MONDAY + 86400
        assert.equal("large", when(all, fitting))
    end)

    it("has the first minute of its hours and not the last, over midnight too", function()
        local function at(hours, clock)
            local hour, minute = clock:match("(%d+):(%d+)")
            -- Any second of the minute, with a fraction.
            return when({ hours = hours }, { time = MONDAY + 86400 * 3 + hour * 3600 + minute * 60 + 59.999 }) == "small"
        end
        for _, case in ipairs({
            { "09:00-17:30", { "09:00", "12:00", "17:29" }, { "08:59", "17:30", "00:00", "23:59" } },
            { "22:00-06:00", { "22:00", "23:59", "00:00", "05:59" }, { "21:59", "06:00", "12:00" } },
            { "00:00-24:00", { "00:00", "12:00", "23:59" }, {} },
            { "23:59-00:00", { "23:59" }, { "00:00", "23:58" } },
            { "00:00-00:01", { "00:00" }, { "00:01", "23:59" } },
        }) do
            for _, clock in ipairs(case[2]) do assert.is_true(at(case[1], clock), case[1] .. " " .. clock) end
            for _, clock in ipairs(case[3]) do assert.is_false(at(case[1], clock), case[1] .. " " .. clock) end
        end
    end)

    it("knows the day of the week of any time, as the calendar does", function()
        local seed = os.time()
        print("seed " .. seed)
        math.randomseed(seed)
        local names = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" }
        for _ = 1, 500 do
            local time = math.random(0, 4000000000) + math.random()
            local day = names[tonumber(os.date("!%w", math.floor(time))) + 1]
            for _, name in ipairs(names) do
                assert.equal(name == day and "small" or "large", when({ days = { name } }, { time = time }))
            end
            assert.equal("small", when({ days = { "sat", day, "tue" } }, { time = time }))
        end
    end)
end)
