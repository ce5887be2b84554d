-- What the sections of today don't use of the checker, so that the sections of tomorrow can.

local check = require("sluice.config.check").check
local nearest = require("sluice.config.near").nearest
local problem = require("sluice.config.problem")
local yaml = require("sluice.config.yaml")

--- Checks a text against a schema. Returns the value, and the problems as lines without a file.
local function checked(schema, text)
    local list = problem.problem_list(100)
    local value = check(schema, yaml.parse(text, list, function() end), "/folder", list, function() end)
    local lines = {}
    for index, found in ipairs(list.problems) do
        lines[index] = found.path .. ": " .. found.message
    end
    return value, lines
end

describe("The checker", function()
    it("takes whole numbers for what they are, and nothing else", function()
        local schema = { type = "object", properties = { n = { type = "integer", minimum = -5, maximum = 9007199254740992 } } }
        for text, expected in pairs({ ["3"] = 3, ["-5"] = -5, ["1e3"] = 1000, ["4.0"] = 4, ["9007199254740992"] = 9007199254740992 }) do
            local value, lines = checked(schema, "n: " .. text)
            assert.same({}, lines)
            assert.equals(expected, value.n)
        end
        for _, text in ipairs({ "1.5", "-6", "9007199254740994", "1e30", "true", "\"3\"", "012", "[]", "~" }) do
            local _, lines = checked(schema, "n: " .. text)
            assert.equals(1, #lines, text)
            assert.is_truthy(lines[1]:find("^n: expected a whole number"), lines[1])
        end
    end)

    it("takes booleans for what they are, and nothing else", function()
        local schema = { type = "object", properties = { b = { type = "boolean" } } }
        assert.same({ b = true }, (checked(schema, "b: true")))
        assert.same({ b = false }, (checked(schema, "b: False")))
        for text, found in pairs({ ["yes"] = "the text \"yes\"", ["1"] = "the number 1", ["\"true\""] = "the text \"true\"" }) do
            local _, lines = checked(schema, "b: " .. text)
            assert.same({ "b: expected true or false, found " .. found }, lines)
        end
    end)

    it("reads a size from a number or a text, and holds it to its bounds in bytes", function()
        local schema = {
            type = "object",
            properties = { size = { type = { "string", "integer" }, format = "bytes", maximum = 1048576, default = "1k" } },
        }
        assert.equals(256, checked(schema, "size: 256").size)
        assert.equals(262144, checked(schema, "size: 256k").size)
        assert.equals(1024, checked(schema, "{}").size)
        local _, lines = checked(schema, "size: 2m")
        assert.same({
            "size: expected a number of bytes such as 65536, 256k, 1m or 1g, at most 1048576 bytes, " ..
                "found 2097152 bytes",
        }, lines)
    end)

    it("holds texts and lists to their lengths", function()
        local schema = {
            type = "object",
            properties = {
                text = { type = "string", minLength = 2, maxLength = 3 },
                list = { type = "array", maxItems = 2, items = { type = "string" } },
            },
        }
        assert.same({ text = "ab", list = { "a", "b" } }, (checked(schema, "text: ab\nlist: [a, b]")))
        local _, lines = checked(schema, "text: abcd\nlist: [a, b, c]")
        assert.same({
            "text: expected a text, of 2 to 3 bytes, found 4 bytes",
            "list: expected a list of 0 to 2, found 3 items",
        }, lines)
    end)

    it("checks values whose names the user chooses", function()
        local schema = { type = "object", additionalProperties = { type = "string", enum = { "mask", "flag" } } }
        assert.same({ a = "mask", b = "flag" }, (checked(schema, "{a: mask, b: flag}")))
        local _, lines = checked(schema, "{a: mask, b: block}")
        assert.same({ "b: expected one of mask, flag, found the text \"block\"" }, lines)
    end)

    it("wants at least one of the groups in anyOf, and exactly one of those in oneOf", function()
        local members = { a = { type = "string" }, b = { type = "string" }, c = { type = "string" } }
        local any = { type = "object", properties = members, anyOf = { { required = { "a" } }, { required = { "b", "c" } } } }
        assert.same({}, select(2, checked(any, "{a: x}")))
        assert.same({}, select(2, checked(any, "{a: x, b: x, c: x}")))
        assert.same({ ": is missing a or b with c" }, select(2, checked(any, "{b: x}")))
        local one = { type = "object", properties = members, oneOf = { { required = { "a" } }, { required = { "b" } } } }
        assert.same({}, select(2, checked(one, "{b: x}")))
        assert.same({ ": is missing a or b" }, select(2, checked(one, "{c: x}")))
        assert.same({ ": expected only one of a or b, found 2" }, select(2, checked(one, "{a: x, b: x}")))
    end)

    it("tells the forms in anyOf apart by type", function()
        local schema = {
            type = "object",
            properties = {
                on = { anyOf = { { type = "string", format = "duration" }, { type = "array", items = { type = "integer" } } } },
            },
        }
        assert.equals(2000, checked(schema, "on: 2s").on)
        assert.same({ 429, 500 }, checked(schema, "on: [429, 500]").on)
        assert.same({ "on[0]: expected a whole number, found the text \"x\"" }, select(2, checked(schema, "on: [x]")))
        assert.same({ "on: expected a duration such as 200ms, 2s, 1m or 1h or a list, found a mapping" },
            select(2, checked(schema, "on: {}")))
    end)

    it("fills in a default that is an object, with the defaults in it", function()
        local schema = {
            type = "object",
            properties = {
                breaker = {
                    type = "object",
                    default = { window = "5s" },
                    properties = {
                        window = { type = "string", format = "duration" },
                        failures = { type = "integer", default = 5 },
                        on = { type = "array", items = { type = "string" }, default = { "a", "b" } },
                    },
                },
            },
        }
        assert.same({ breaker = { window = 5000, failures = 5, on = { "a", "b" } } }, (checked(schema, "{}")))
        assert.same({ breaker = { window = 1000, failures = 2, on = {} } },
            (checked(schema, "breaker: {window: 1s, failures: 2, on: []}")))
    end)

    it("hides a value that the schema says is written only", function()
        local schema = { type = "object", properties = { phrase = { type = "boolean", writeOnly = true } } }
        assert.same({ "phrase: expected true or false, found another value" }, select(2, checked(schema, "phrase: canary")))
    end)
end)

describe("The nearest name", function()
    local KNOWN = { "endpoints", "keys", "name", "timeouts", "upstream_model" }
    for written, meant in pairs({
        endpoint = "endpoints", endponits = "endpoints", Name = "name", nmae = "name", timeout = "timeouts", key = "keys",
        upstream_mdel = "upstream_model",
    }) do
        it(("of %q is %q"):format(written, meant), function()
            assert.equals(meant, nearest(written, KNOWN))
        end)
    end

    it("is the one that differs by the least, and the first of several", function()
        assert.equals("abcdef", nearest("abcdeg", { "abcxyf", "abcdef", "abcdeh" }))
        assert.equals("bacdef", nearest("abcdef", { "abxxef", "bacdef" }))
        assert.equals("ba", nearest("ab", { "ba" }))
    end)

    it("isn't one that has little to do with it", function()
        for _, written in ipairs({ "", "x", "weight", "nothing", ("keys"):rep(1000) }) do
            assert.is_nil(nearest(written, KNOWN))
        end
    end)
end)

describe("A name that tells of a secret", function()
    it("is known", function()
        for _, name in ipairs({ "secret", "sha256", "key", "keys", "api_keys", "Password", "access_token", "client_secret" }) do
            assert.is_true(problem.is_secret_name(name), name)
        end
        for _, name in ipairs({ "id", "url", "jwks_file", "api_keys_file", "public_key_file", "models" }) do
            assert.is_false(problem.is_secret_name(name), name)
        end
    end)
end)
