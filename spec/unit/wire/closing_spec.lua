local cjson = require("cjson")
local closing = require("sluice.wire.closing")

local NASTY = 'a "quoted"\\ name\r\n\r\ndata: [DONE]\n\nwith \228\189\160 and \1'

-- What closes a chat stream of which nothing is known, with those members changed. `none`: those that are left out.
local function events_of(changes)
    local wanted = {
        api = "chat", reason = "content_filter", id = "req-1", model = "small", created = 1735689600.75, choices = { 0 },
        open_block = -1, sequence = -1, input_tokens = -1, output_tokens = 5,
    }
    for name, value in pairs(changes) do
        wanted[name] = value
    end
    local events, bytes = {}, closing.closing_events(wanted)
    local rest = bytes:gsub("(.-)\n\n", function(event)
        local name, data = event:match("^event: ([%w_.]+)\ndata: ([^\r\n]*)$")
        data = data or event:match("^data: ([^\r\n]*)$")
        assert.is_string(data, event)
        events[#events + 1] = { name = name, data = data == "[DONE]" and data or cjson.decode(data), bytes = data }
        return ""
    end)
    assert.equal("", rest)
    return events
end

local REASONS = { "content_filter", "length" }

describe("a chat stream that the gateway ends", function()
    for _, reason in ipairs(REASONS) do
        it("has a last chunk for all open choices, and the marker: " .. reason, function()
            local events = events_of({ reason = reason, choices = { 0, 2 } })
            assert.equal(2, #events)
            assert.same({
                id = "req-1", object = "chat.completion.chunk", created = 1735689600, model = "small",
                choices = {
                    { index = 0, delta = {}, finish_reason = reason }, { index = 2, delta = {}, finish_reason = reason },
                },
            }, events[1].data)
            assert.truthy(events[1].bytes:find('"delta":{}', 1, true))
            assert.equal("[DONE]", events[2].data)
        end)
    end

    it("has the names of its first event, byte for byte", function()
        local events = events_of({
            first_event = '{"choices":[{"index":0}],"model": "m\\u002f\\"1\\"" ,"created":17,"id":"chatcmpl-\\n1"}', input_tokens = 3,
        })
        for index = 1, 2 do
            assert.equal('m/"1"', events[index].data.model)
            assert.equal("chatcmpl-\n1", events[index].data.id)
            assert.equal(17, events[index].data.created)
            assert.truthy(events[index].bytes:find('"model":"m\\u002f\\"1\\"","choices"', 1, true))
        end
    end)

    it("has its own names where the first event lacks them", function()
        local events = events_of({ first_event = '{"model":null,"other":{"id":"not this"}}' })
        assert.equal(cjson.null, events[1].data.model)
        assert.equal("req-1", events[1].data.id)
        assert.equal(1735689600, events[1].data.created)
    end)

    it("has its own names if the first event can't be read", function()
        for _, event in ipairs({ "", "{", "[DONE]", '{"id":"a","id":"b"}', '{"id":"other"', '"id"', "[]", "null", '{"id":"\255"}', "{}x" }) do
            local events = events_of({ first_event = event })
            assert.equal("req-1", events[1].data.id)
            assert.equal("small", events[1].data.model)
        end
    end)

    it("takes nothing from an event that it read before", function()
        events_of({ first_event = '{"id":"before","model":"before","created":1}' })
        local events = events_of({})
        assert.equal("req-1", events[1].data.id)
        assert.equal("small", events[1].data.model)
        events_of({ first_event = '{"id":"before"}' })
        assert.equal("req-1", events_of({ first_event = '{"id":"half' })[1].data.id)
    end)

    it("has the usage that was asked for in a chunk of its own", function()
        local events = events_of({ input_tokens = 12, output_tokens = 30, choices = { 1 } })
        assert.equal(3, #events)
        assert.is_nil(events[1].data.usage)
        assert.same({}, events[2].data.choices)
        assert.same({ prompt_tokens = 12, completion_tokens = 30, total_tokens = 42 }, events[2].data.usage)
        assert.equal("chat.completion.chunk", events[2].data.object)
        assert.equal("[DONE]", events[3].data)
        assert.equal(2, #events_of({ input_tokens = -1, output_tokens = 30 }))
        assert.equal(3, #events_of({ input_tokens = 0, output_tokens = 0 }))
    end)

    it("is JSON if no choice is open", function()
        local events = events_of({ choices = {} })
        assert.same({}, events[1].data.choices)
        assert.equal("[DONE]", events[2].data)
    end)

    it("is JSON with any names", function()
        local events = events_of({ model = NASTY, id = NASTY, input_tokens = 1 })
        assert.equal(NASTY, events[1].data.model)
        assert.equal(NASTY, events[2].data.id)
    end)
end)

describe("a stream of completions that the gateway ends", function()
    for _, reason in ipairs(REASONS) do
        it("has a last chunk and the marker: " .. reason, function()
            local events = events_of({ api = "completions", reason = reason, first_event = '{"id":"c","object":"other"}', choices = { 0, 1 } })
            assert.equal(2, #events)
            assert.same({
                id = "c", object = "text_completion", created = 1735689600, model = "small",
                choices = {
                    { index = 0, text = "", logprobs = cjson.null, finish_reason = reason },
                    { index = 1, text = "", logprobs = cjson.null, finish_reason = reason },
                },
            }, events[1].data)
            assert.equal("[DONE]", events[2].data)
        end)
    end
end)

local DETAILS = { content_filter = "content_filter", length = "max_output_tokens" }

describe("a response that the gateway ends", function()
    local CREATED = '{"type":"response.created","sequence_number":0,"response":{"id":"resp_1", "object":"response","status":"in_progress",'
        .. '"incomplete_details":null,"output":[],"model":"m\\/1","metadata":{"status":"mine"}}}'

    for _, reason in ipairs(REASONS) do
        it("is the one of its first event, incomplete: " .. reason, function()
            local events = events_of({ api = "responses", reason = reason, first_event = CREATED, sequence = 7 })
            assert.equal(1, #events)
            assert.equal("response.incomplete", events[1].name)
            assert.equal("response.incomplete", events[1].data.type)
            assert.equal(8, events[1].data.sequence_number)
            assert.equal("incomplete", events[1].data.response.status)
            assert.same({ reason = DETAILS[reason] }, events[1].data.response.incomplete_details)
            assert.equal("mine", events[1].data.response.metadata.status)
            local expected = CREATED:match('"response":(.*)}$'):gsub('"in_progress"', '"incomplete"')
                :gsub('"incomplete_details":null', '"incomplete_details":{"reason":"' .. DETAILS[reason] .. '"}')
            assert.truthy(events[1].bytes:find(expected, 1, true))
        end)

        it("begins and ends if nothing of it was sent: " .. reason, function()
            local events = events_of({ api = "responses", reason = reason, id = NASTY, model = NASTY })
            assert.equal(2, #events)
            assert.equal("response.created", events[1].name)
            assert.equal("response.created", events[1].data.type)
            assert.equal(0, events[1].data.sequence_number)
            assert.equal("in_progress", events[1].data.response.status)
            assert.equal(cjson.null, events[1].data.response.incomplete_details)
            assert.equal("response.incomplete", events[2].name)
            assert.equal(1, events[2].data.sequence_number)
            assert.same({
                id = NASTY, object = "response", created_at = 1735689600, status = "incomplete", error = cjson.null, model = NASTY,
                incomplete_details = { reason = DETAILS[reason] }, output = {},
            }, events[2].data.response)
        end)
    end

    it("says why even if the first event does not have the place for it", function()
        local first = '{"response":{"status":"queued","id":"r"}}'
        local events = events_of({ api = "responses", first_event = first, sequence = 0 })
        assert.same({ status = "incomplete", id = "r", incomplete_details = { reason = "content_filter" } }, events[1].data.response)
    end)

    it("is written anew if the first event shows none", function()
        for _, first in ipairs({ "{", "{}", '{"response":{}}', '{"response":null}', '{"response":"x"}', '{"response":[{"status":1}]}', "[]" }) do
            local events = events_of({ api = "responses", first_event = first, sequence = 3 })
            assert.equal(1, #events)
            assert.equal(4, events[1].data.sequence_number)
            assert.equal("incomplete", events[1].data.response.status)
            assert.equal("req-1", events[1].data.response.id)
        end
    end)

    it("has both members changed in whichever order they stand", function()
        local first = '{"response":{"incomplete_details":{"reason":"old"},"x":[1,{"status":"inner"}],"status":{"a":1}},"sequence_number":1}'
        local events = events_of({ api = "responses", reason = "length", first_event = first, sequence = 1 })
        assert.same({
            incomplete_details = { reason = "max_output_tokens" }, x = { 1, { status = "inner" } }, status = "incomplete",
        }, events[1].data.response)
    end)
end)

describe("a message that the gateway ends", function()
    local STOP = { content_filter = "refusal", length = "max_tokens" }

    for _, reason in ipairs(REASONS) do
        it("says why and stops: " .. reason, function()
            local events = events_of({ api = "messages", reason = reason, first_event = '{"type":"message_start"}' })
            assert.equal(2, #events)
            assert.equal("message_delta", events[1].name)
            assert.same({
                type = "message_delta", delta = { stop_reason = STOP[reason], stop_sequence = cjson.null }, usage = { output_tokens = 5 },
            }, events[1].data)
            assert.equal("message_stop", events[2].name)
            assert.same({ type = "message_stop" }, events[2].data)
        end)
    end

    it("closes the block that is open", function()
        for _, block in ipairs({ 0, 3 }) do
            local events = events_of({ api = "messages", first_event = "{}", open_block = block })
            assert.equal(3, #events)
            assert.equal("content_block_stop", events[1].name)
            assert.same({ type = "content_block_stop", index = block }, events[1].data)
            assert.equal("message_delta", events[2].name)
        end
    end)

    it("begins if nothing of it was sent", function()
        local events = events_of({ api = "messages", model = NASTY, id = NASTY, input_tokens = 9 })
        assert.equal(3, #events)
        assert.equal("message_start", events[1].name)
        assert.same({
            type = "message_start",
            message = {
                id = NASTY, type = "message", role = "assistant", model = NASTY, content = {}, stop_reason = cjson.null,
                stop_sequence = cjson.null, usage = { input_tokens = 9, output_tokens = 0 },
            },
        }, events[1].data)
        assert.equal("message_delta", events[2].name)
    end)

    it("has no number below zero", function()
        local events = events_of({ api = "messages", input_tokens = -1, output_tokens = -1 })
        assert.equal(0, events[1].data.message.usage.input_tokens)
        assert.equal(0, events[2].data.usage.output_tokens)
    end)
end)
