local environment = require("sluice.config.environment")
local reading = require("spec.unit.config.reading")

local function substitute(text, values)
    return environment.substitute(text, function(name) return values[name] end)
end

describe("A reference to the environment", function()
    local VALUES = { NAME = "value", EMPTY = "", ["_9"] = "nine", BRACES = "${NAME}" }
    local cases = {
        { "${NAME}", "value" },
        { "a${NAME}b${_9}", "avaluebnine" },
        { "${EMPTY}", "" },
        { "${EMPTY:-default}", "default" },
        { "${NAME:-default}", "value" },
        { "${MISSING:-}", "" },
        { "${MISSING:-a:-b $x {c}", "a:-b $x {c" },
        { "${BRACES}", "${NAME}" },
        { "$${NAME}", "${NAME}" },
        { "$${NAME} ${NAME}", "${NAME} value" },
        { "$$${NAME}", "$${NAME}" },
        { "$NAME $ {} $", "$NAME $ {} $" },
        { "", "" },
    }
    for _, case in ipairs(cases) do
        it(("%q becomes %q"):format(case[1], case[2]), function()
            assert.equals(case[2], (substitute(case[1], VALUES)))
        end)
    end

    for _, text in ipairs({ "${MISSING}", "${", "${}", "${9}", "${NAME", "${NAME-x}", "${NAME:x}", "${ NAME}", "${:-x}",
        "${NAME:-${_9}}", "${MISSING:-${NAME}}", "${MISSING:-a ${NAME} b}", "${MISSING:-${}", "${MISSING:-$${NAME}}", "${${NAME}}" }) do
        it(("%q is refused"):format(text), function()
            local value, reason = substitute(text, VALUES)
            assert.is_nil(value)
            assert.is_true(#reason > 0)
        end)
    end
end)

describe("A value from the environment", function()
    it("can't become anything but a value", function()
        local configuration, lines = reading.load(
            reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://a\"}], keys: [{id: a, secret: \"${KEY}\"}]}]\n" }),
            { KEY = "x\"}],api:anthropic,#&a" })
        assert.same({}, lines)
        assert.equals("x\"}],api:anthropic,#&a", configuration.pools[1].keys[1].secret)
        assert.equals("openai", configuration.pools[1].api)
    end)

    it("isn't looked at for references of its own", function()
        local configuration = reading.load(
            reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://a\"}], keys: [{id: a, secret: \"${KEY}\"}]}]\n" }),
            { KEY = "${OTHER}" })
        assert.equals("${OTHER}", configuration.pools[1].keys[1].secret)
    end)

    it("can be a number, quoted or not", function()
        for _, written in ipairs({ "${N}", "\"${N}\"", "${M:-17}" }) do
            local configuration, lines = reading.load(
                reading.text({
                    more = "auth:\n  jwt:\n    - issuer: a\n      audience: b\n      algorithms: [RS256]\n" ..
                        "      jwks_file: d\n      leeway_seconds: " .. written .. "\n",
                }), { N = "17" })
            assert.same({}, lines)
            assert.equals(17, configuration.auth.jwt[1].leeway_seconds)
        end
    end)

    it("is a text where one is wanted, whatever it looks like", function()
        for _, value in ipairs({ "true", "null", "17", "~" }) do
            local configuration, lines = reading.load(
                reading.text({ pools = "pools: [{name: gpu, endpoints: [{url: \"http://a\"}], keys: [{id: a, secret: \"${KEY}\"}]}]\n" }),
                { KEY = value })
            assert.same({}, lines)
            assert.equals(value, configuration.pools[1].keys[1].secret)
        end
    end)

    it("that is empty counts as left out", function()
        local configuration, lines = reading.load(
            reading.text({ models = "models: [{name: chat, pool: gpu, upstream_model: \"${OTHER:-}\"}]\n" }))
        assert.same({}, lines)
        assert.equals("chat", configuration.models[1].upstream_model)

        configuration, lines = reading.load(reading.text({ models = "models: [{name: chat, pool: \"${POOL}\"}]\n" }), { POOL = "" })
        assert.is_nil(configuration)
        assert.is_truthy(lines[1]:find("models[0]: is missing pool or choose", 1, true))
    end)

    it("isn't filled into names", function()
        local _, lines = reading.load(reading.text({ more = "\"${NAME}\": 1\n" }), { NAME = "auth" })
        assert.is_truthy(lines[1]:find("unknown member", 1, true))
    end)
end)

describe("What is captured", function()
    it("is looked up later, equal signs and all", function()
        local get = environment.capture({ "A=1", "B=x=y=", "C=", "=D=1", "nonsense" })
        assert.same({ "1", "x=y=", "" }, { get("A"), get("B"), get("C") })
        assert.is_nil(get("D"))
        assert.is_nil(get("nonsense"))
    end)

    it("is the process's own environment unless told otherwise", function()
        local get = environment.capture()
        assert.is_true(#os.getenv("PATH") > 0)
        assert.equals(os.getenv("PATH"), get("PATH"))
        assert.is_nil(get("SLUICE_SPEC_NOT_SET"))
    end)
end)
