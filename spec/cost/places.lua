-- The places in which a text may stand, in each API, in requests, answers and streams. Each makes a document of a text's pieces, and walks it as
-- the gateway does.

local answer = require("sluice.wire.answer")
local body = require("sluice.guard.body")
local prompt = require("sluice.guard.prompt")
local request = require("sluice.wire.request")
local stream = require("sluice.guard.stream")
local text = require("sluice.guard.text")

local places = {}

-- What nginx hands over at a time: of a request, as edge/request reads it, and of an answer.
local REQUEST_BYTES = 32768
local ANSWER_BYTES = 4096

local function range(source, from, to) return source:sub(from + 1, to) end

local function nothing() end

local function walk_request(api, document, guard)
    local reader = request.take(api)
    if guard then
        prompt.watch_prompt(reader.text, guard)
    end
    for from = 1, #document, REQUEST_BYTES do
        assert(request.read(reader, document:sub(from, from + REQUEST_BYTES - 1)), document)
    end
    local reading, refusal = request.conclude(reader, range, document)
    assert(reading, refusal and refusal.message)
    local verdict = guard and prompt.judge_prompt(reader.text, guard)
    if verdict and #verdict.masks > 0 then
        prompt.mask_prompt(verdict, guard, { count = 0, starts = {}, ends = {}, texts = {} }, range, document, nothing)
    end
    request.release(reader)
end

local function walk_body(api, document, guard)
    local reader = answer.take_answer(api, false)
    local guarded = guard and body.guard_body(reader, guard, -1)
    for from = 1, #document, ANSWER_BYTES do
        local chunk = document:sub(from, from + ANSWER_BYTES - 1)
        if guarded then
            body.read_guarded_body(guarded, chunk)
        else
            answer.read_body(reader, chunk)
        end
    end
    if guarded then
        body.end_guarded_body(guarded)
        text.unguard_text(reader.text)
    else
        answer.end_body(reader)
        assert(reader.complete, document)
    end
    answer.return_answer(reader)
end

local function walk_stream(api, events, guard)
    local reader = answer.take_answer(api, false)
    local guarded = guard and stream.guard_stream(reader, guard)
    for number = 1, #events do
        if guarded then
            stream.read_guarded(guarded, events[number], number)
        else
            answer.read_stream(reader, events[number])
        end
    end
    if guarded then
        stream.end_guarded(guarded, #events)
        text.unguard_text(reader.text)
    end
    assert(not reader.malformed, events[1])
    answer.return_answer(reader)
end

local function size_of(events)
    local size = 0
    for _, event in ipairs(events) do
        size = size + #event
    end
    return size
end

-- All pieces in one string.
local function whole(api, before, after, walk)
    return function(pieces)
        local document = before .. table.concat(pieces) .. after
        return function(guard) walk(api, document, guard) end, #document
    end
end

-- Each piece for itself, between `open` and `close`, with commas between them.
local function parts(api, before, open, close, after, walk)
    return function(pieces)
        local document = before .. open .. table.concat(pieces, close .. "," .. open) .. close .. after
        return function(guard) walk(api, document, guard) end, #document
    end
end

-- Each piece an event.
local function events(api, before, after)
    return function(pieces)
        local made = {}
        for index, piece in ipairs(pieces) do
            made[index] = "data: " .. before .. piece .. after .. "\n\n"
        end
        return function(guard) walk_stream(api, made, guard) end, size_of(made)
    end
end

local CHAT = '{"model":"m","messages":[{"role":"user","content":'
local MESSAGES = '{"model":"m","max_tokens":9,"messages":[{"role":"user","content":'
local CALL = '{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"'
local CHOICE = '{"id":"c","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"'
local DELTA = '{"choices":[{"index":0,"delta":{"content":"'
local CALL_DELTA = '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"'

places.ALL = {
    ["chat content"] = whole("chat", CHAT .. '"', '"}]}', walk_request),
    ["chat parts"] = parts("chat", CHAT .. "[", '{"type":"text","text":"', '"}', "]}]}", walk_request),
    ["chat arguments"] = whole("chat", CALL, '"}}]}]}', walk_request),
    ["chat arguments in strings"] = parts("chat", CALL .. "[", '\\"', '\\"', ']"}}]}]}', walk_request),
    ["chat tool"] = whole("chat", '{"model":"m","messages":[],"tools":[{"type":"function","function":{"description":"', '"}}]}', walk_request),
    ["chat unknown member"] = parts("chat", '{"model":"m","messages":[],"notes":[', '"', '"', "]}", walk_request),
    ["chat user"] = whole("chat", '{"model":"m","messages":[],"user":"', '"}', walk_request),
    ["completions prompt"] = whole("completions", '{"model":"m","prompt":"', '"}', walk_request),
    ["completions prompts"] = parts("completions", '{"model":"m","prompt":[', '"', '"', "]}", walk_request),
    ["embeddings input"] = parts("embeddings", '{"model":"m","input":[', '"', '"', "]}", walk_request),
    ["messages content"] = whole("messages", MESSAGES .. '"', '"}]}', walk_request),
    ["messages blocks"] = parts("messages", MESSAGES .. "[", '{"type":"text","text":"', '"}', "]}]}", walk_request),
    ["messages system"] = whole("messages", '{"model":"m","max_tokens":9,"messages":[],"system":"', '"}', walk_request),
    ["responses input"] = whole("responses", '{"model":"m","input":"', '"}', walk_request),
    ["responses items"] = parts("responses", '{"model":"m","input":[', '{"role":"user","content":"', '"}', "]}", walk_request),
    ["chat answer"] = whole("chat", CHOICE, '"}}]}', walk_body),
    ["chat answer's choices"] = parts("chat", '{"id":"c","choices":[', '{"message":{"content":"', '"}}', "]}", walk_body),
    ["messages answer"] = parts("messages", '{"type":"message","content":[', '{"type":"text","text":"', '"}', "]}", walk_body),
    ["responses answer"] = whole("responses", '{"output":[{"type":"message","content":[{"type":"output_text","text":"', '"}]}]}', walk_body),
    ["completions answer"] = whole("completions", '{"choices":[{"index":0,"text":"', '"}]}', walk_body),
    ["completions tokens"] = parts("completions", '{"choices":[{"index":0,"text":"","logprobs":{"tokens":[', '"', '"', "]}}]}", walk_body),
    ["chat stream"] = events("chat", DELTA, '"}}]}'),
    ["chat stream's arguments"] = events("chat", CALL_DELTA, '"}}]}}]}'),
    ["completions stream"] = events("completions", '{"choices":[{"index":0,"text":"', '"}]}'),
    ["messages stream"] = events("messages", '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"', '"}}'),
    ["responses stream"] = events("responses", '{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"', '"}'),
}

places.NAMES = {}
for name in pairs(places.ALL) do
    places.NAMES[#places.NAMES + 1] = name
end
table.sort(places.NAMES)

return places
