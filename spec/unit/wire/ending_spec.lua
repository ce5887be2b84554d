local answer = require("sluice.wire.answer")
local cjson = require("cjson.safe")
local ending = require("sluice.wire.ending")
local json = require("sluice.wire.json")
local refuse = require("sluice.wire.refusal").refuse
local shape = require("sluice.wire.shape")

local NASTY = 'a "quoted"\\ line\r\n\r\ndata: [DONE]\n\nwith \228\189\160 and \1'
local walk = json.walker(shape.compile({}), json.NO_SINK, nil)

local function decode(text)
    assert.is_nil(json.check(walk, text))
    return cjson.decode(text)
end

-- The events of a text: pairs of the event's name, if it has one, and its data, decoded.
local function events_of(text)
    local events = {}
    for event in text:gmatch("(.-)\n\n") do
        local name = event:match("^event: ([^\n]*)\n")
        local data = event:match("^data: ([^\n]*)$") or event:match("^event: [^\n]*\ndata: ([^\n]*)$")
        assert.is_string(data, event)
        events[#events + 1] = { name = name, data = decode(data) }
    end
    assert.equal("\n\n", text:sub(-2))
    return events
end

describe("a refusal's body", function()
    it("has OpenAI's shape", function()
        for _, api in ipairs({ "chat", "completions", "embeddings", "responses" }) do
            local body = ending.refusal_body(refuse(400, "invalid_request_error", "missing_model", NASTY, "model"), api)
            assert.same({ error = { message = NASTY, type = "invalid_request_error", param = "model", code = "missing_model" } }, decode(body))
        end
    end)

    it("has OpenAI's shape where no API was asked for", function()
        local body = ending.refusal_body(refuse(404, "invalid_request_error", "unknown_url", "No such page."), nil)
        assert.same({ error = { message = "No such page.", type = "invalid_request_error", param = cjson.null, code = "unknown_url" } }, decode(body))
    end)

    for status, kind in pairs({
        [400] = "invalid_request_error", [401] = "authentication_error", [402] = "billing_error", [403] = "permission_error",
        [404] = "not_found_error",
        [405] = "invalid_request_error", [413] = "request_too_large", [415] = "invalid_request_error", [429] = "rate_limit_error",
        [500] = "api_error", [502] = "api_error", [503] = "overloaded_error", [504] = "timeout_error", [529] = "overloaded_error",
    }) do
        it("has Anthropic's shape for messages: " .. status, function()
            local body = ending.refusal_body(refuse(status, "api_error", "some_code", NASTY, "x"), "messages")
            assert.same({ type = "error", error = { type = kind, message = NASTY } }, decode(body))
            local told = ending.refusal_body(refuse(status, "api_error", "some_code", NASTY, "x"), "messages", "0123456789abcdef")
            assert.same({ type = "error", error = { type = kind, message = NASTY }, request_id = "0123456789abcdef" }, decode(told))
        end)
    end
end)

describe("a refusal", function()
    it("may be tried again if it is a 429 or 5xx", function()
        for _, status in ipairs({ 429, 500, 502, 503, 504 }) do
            assert.is_true(refuse(status, "api_error", "code", "message").retry)
        end
        for _, status in ipairs({ 400, 401, 403, 404, 405, 413, 415 }) do
            assert.is_false(refuse(status, "api_error", "code", "message").retry)
        end
    end)

    it("is what it was made of", function()
        assert.same({ status = 400, type = "invalid_request_error", code = "c", message = "m", param = "p", retry = false },
            refuse(400, "invalid_request_error", "c", "m", "p"))
    end)
end)

describe("the events of a stream that can't end well", function()
    it("are an error object for chat and completions, and no marker", function()
        for _, api in ipairs({ "chat", "completions" }) do
            local events = events_of(ending.error_events(api, "upstream_failed", NASTY, -1, nil))
            assert.same({ { data = { error = { message = NASTY, type = "upstream_error", param = cjson.null, code = "upstream_failed" } } } }, events)
        end
    end)

    it("are an error event for messages", function()
        local events = events_of(ending.error_events("messages", "upstream_failed", NASTY, -1, nil))
        assert.same({ { name = "error", data = { type = "error", error = { type = "api_error", message = NASTY } } } }, events)
    end)

    it("are an error event and response.failed for responses, numbered on", function()
        local events = events_of(ending.error_events("responses", "upstream_failed", NASTY, 41, "resp_1"))
        assert.equal(2, #events)
        assert.equal("error", events[1].name)
        assert.same({ type = "error", code = "upstream_failed", message = NASTY, param = cjson.null, sequence_number = 42 }, events[1].data)
        assert.equal("response.failed", events[2].name)
        local data = events[2].data
        assert.equal("response.failed", data.type)
        assert.equal(43, data.sequence_number)
        assert.equal("resp_1", data.response.id)
        assert.equal("failed", data.response.status)
        assert.equal(NASTY, data.response.error.message)
    end)

    it("are numbered from 0 if nothing had come", function()
        local events = events_of(ending.error_events("responses", "upstream_failed", "x", -1, nil))
        assert.equal(0, events[1].data.sequence_number)
        assert.equal("", events[2].data.response.id)
    end)

    it("are read by our own reader as a failure, and not as a good end", function()
        for _, api in ipairs({ "chat", "completions", "messages" }) do
            local reader = answer.new_answer(api, true)
            local text = ending.error_events(api, "upstream_failed", NASTY, -1, nil)
            assert.is_nil(answer.read_stream(reader, text))
            assert.is_true(reader.failed)
            assert.is_false(reader.complete)
            assert.is_false(reader.malformed)
        end
    end)
end)
