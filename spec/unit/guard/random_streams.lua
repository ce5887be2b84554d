-- Streams of all APIs, made from texts, and read again as a client puts them together.
--
-- A stream is a list of events: each { bytes, parts = { { key, from, to }, … }, whole = …, settles = … }. A part says which
-- characters of which text the event brings; `whole` is a text that it repeats, `settles` the choice whose texts it ends (true: all).

local cjson = require("cjson")
local random_words = require("spec.unit.guard.random_words")

local streams = {}

local random = math.random

-- By API: the texts that a choice, output item or content block has.
streams.FIELDS = {
    chat = { "content", "reasoning", "refusal", "tool0", "tool1", "tokens" },
    completions = { "text", "tokens" },
    responses = { "output_text", "reasoning_text", "reasoning_summary_text", "refusal", "function_call_arguments" },
    messages = { "text", "thinking", "partial_json" },
}
streams.NESTED = { tool0 = true, tool1 = true, function_call_arguments = true, partial_json = true }

local CHAT = {
    content = '"delta":{"content":"%s"}',
    reasoning = '"delta":{"role":"assistant","reasoning_content":"%s"}',
    refusal = '"delta":{"refusal":"%s","content":null}',
    tool0 = '"delta":{"tool_calls":[{"index":0,"id":"c0","type":"function","function":{"arguments":"%s"}}]}',
    tool1 = '"delta":{"tool_calls":[{"function":{"name":"f","arguments":"%s"},"index":1}]}',
    tokens = '"delta":{},"logprobs":{"content":[{"token":"%s","logprob":-1.5,"bytes":[1],"top_logprobs":[]}]}',
}
local COMPLETIONS = { text = '"text":"%s","logprobs":null', tokens = '"logprobs":{"tokens":["%s"],"token_logprobs":[-1]}' }
local DELTAS = {
    text = '{"type":"text_delta","text":"%s"}',
    thinking = '{"type":"thinking_delta","thinking":"%s"}',
    partial_json = '{"type":"input_json_delta","partial_json":"%s"}',
}
-- What the events are called that repeat a text of the Responses API, and where they have it.
local DONE = {
    output_text = "text", reasoning_text = "text", reasoning_summary_text = "text", refusal = "refusal",
    function_call_arguments = "arguments",
}

-- `%` is no mark of a pattern here.
local function fill(form, text)
    local before, after = form:match("^(.-)%%s(.*)$")
    return before .. text .. after
end

local function line(data, name)
    return (name and "event: " .. name .. "\n" or "") .. "data: " .. data .. "\n\n"
end

function streams.event(api, parts, late)
    if api == "chat" or api == "completions" then
        local choices = {}
        for index, part in ipairs(parts) do
            local body = fill((api == "chat" and CHAT or COMPLETIONS)[part.field], part.json)
            local number = ('"index":%d'):format(part.choice)
            choices[index] = "{" .. (late and body .. "," .. number or number .. "," .. body) .. "}"
        end
        return line('{"id":"x","choices":[' .. table.concat(choices, ",") .. "]}")
    end
    local part = parts[1]
    if api == "responses" then
        local summary = part.field == "reasoning_summary_text"
        local numbers = ('"output_index":%d,"%s":0'):format(part.choice, summary and "summary_index" or "content_index")
        local kind = "response." .. part.field .. ".delta"
        local text = fill('"delta":"%s"', part.json)
        if late then
            return line(('{%s,"type":"%s",%s}'):gsub("%%s", function() return "%s" end):format(text, kind, numbers), kind)
        end
        return line(('{"type":"%s",%s,'):format(kind, numbers) .. text .. "}", kind)
    end
    local delta = '"delta":' .. fill(DELTAS[part.field], part.json)
    local number = ('"index":%d'):format(part.choice)
    local kind = '{"type":"content_block_delta",'
    return line(kind .. (late and delta .. "," .. number or number .. "," .. delta) .. "}", "content_block_delta")
end

local function key_of(choice, field)
    return choice .. "/" .. field
end
streams.key_of = key_of

-- Pieces of a text, as pairs of first and last character; some are empty.
local function pieces_of(text, most)
    local pieces, at = {}, 1
    while at <= #text do
        local size = random(0, most)
        pieces[#pieces + 1] = { at, math.min(at + size - 1, #text) }
        at = at + size
    end
    return pieces
end

-- The texts in the order in which their pieces come: field after field in a choice, or mixed; choices always mixed.
local function queue_of(texts, mixed, most)
    local queues, by_choice = {}, {}
    for _, text in ipairs(texts) do
        local queue = by_choice[text.choice]
        if not queue or (mixed and text.field ~= "tokens") or text.field == "tokens" then
            queue = {}
            queues[#queues + 1] = queue
            by_choice[text.choice] = text.field ~= "tokens" and queue or by_choice[text.choice]
        end
        for _, piece in ipairs(pieces_of(text.code_points, most)) do
            queue[#queue + 1] = { text = text, from = piece[1], to = piece[2] }
        end
    end
    return queues
end

local function end_choice(api, choice)
    if api == "chat" then
        return line(('{"choices":[{"index":%d,"delta":{},"finish_reason":"stop"}]}'):format(choice))
    elseif api == "completions" then
        return line(('{"choices":[{"finish_reason":"length","index":%d}]}'):format(choice))
    elseif api == "messages" then
        return line(('{"type":"content_block_stop","index":%d}'):format(choice), "content_block_stop")
    end
    return line(('{"type":"response.output_item.done","output_index":%d,"item":{"type":"message","content":[]}}'):format(choice))
end

local function end_all(api, texts, rarity)
    if api == "messages" then
        return { { bytes = line('{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}') },
            { bytes = line('{"type":"message_stop"}'), settles = true } }
    elseif api ~= "responses" then
        return { { bytes = "data: [DONE]\n\n", settles = true } }
    end
    local events = {}
    for _, text in ipairs(texts) do
        local json = random_words.escaped(text.code_points, 1, #text.code_points, rarity)
        local kind = "response." .. text.field .. ".done"
        events[#events + 1] = {
            bytes = line(('{"type":"%s","output_index":%d,'):format(kind, text.choice) .. fill('"' .. DONE[text.field] .. '":"%s"}', json)),
            settles = text.choice, whole = text,
        }
    end
    local text = texts[random(#texts)]
    local json = random_words.escaped(text.code_points, 1, #text.code_points, rarity)
    local item = streams.NESTED[text.field] and '{"type":"function_call","arguments":"%s"}' or '{"content":[{"type":"output_text","text":"%s"}]}'
    events[#events + 1] = {
        bytes = line('{"type":"response.completed","response":{"id":"r","output":[' .. fill(item, json) .. "]}}"), settles = true, whole = text,
    }
    return events
end

-- Any that is left, or several of different choices.
local function draw(api, queues)
    local parts, taken = {}, {}
    local several = (api == "chat" or api == "completions") and random(4) == 1 and 3 or 1
    for _ = 1, several do
        local number = random(#queues)
        local piece = queues[number][1]
        if not taken[piece.text.choice] then
            taken[piece.text.choice] = true
            table.remove(queues[number], 1)
            if #queues[number] == 0 then
                table.remove(queues, number)
            end
            parts[#parts + 1] = piece
        end
        if #queues == 0 then
            break
        end
    end
    return parts
end

-- texts: each { choice, field, code_points }. options: mixed (fields of a choice interleave), most (characters in a piece),
-- late (how rarely the numbers stand behind the text).
function streams.make(api, texts, options)
    local rarity = random(1, 5)
    local queues, events = queue_of(texts, options.mixed, options.most), {}
    for number = #queues, 1, -1 do
        if #queues[number] == 0 then
            table.remove(queues, number)
        end
    end
    while #queues > 0 do
        local drawn, parts = draw(api, queues), {}
        for index, piece in ipairs(drawn) do
            parts[index] = {
                choice = piece.text.choice, field = piece.text.field, key = key_of(piece.text.choice, piece.text.field),
                from = piece.from, to = piece.to,
                json = random_words.escaped(piece.text.code_points, piece.from, piece.to, rarity),
            }
        end
        events[#events + 1] = { bytes = streams.event(api, parts, options.late and random(options.late) == 1), parts = parts }
    end
    local ended = {}
    for _, text in ipairs(texts) do
        if not ended[text.choice] and random(4) > 1 then
            events[#events + 1] = { bytes = end_choice(api, text.choice), settles = text.choice }
        end
        ended[text.choice] = true
    end
    if random(5) > 1 then
        for _, event in ipairs(end_all(api, texts, rarity)) do
            events[#events + 1] = event
        end
    end
    return events
end

local function add(found, choice, field, text)
    if type(text) == "string" then
        local key = key_of(choice, field)
        found[key] = (found[key] or "") .. text
    end
end

local function read_choice(found, choice)
    local delta = type(choice.delta) == "table" and choice.delta or {}
    add(found, choice.index, "content", delta.content)
    add(found, choice.index, "reasoning", delta.reasoning_content)
    add(found, choice.index, "refusal", delta.refusal)
    add(found, choice.index, "text", choice.text)
    for _, call in ipairs(delta.tool_calls or {}) do
        add(found, choice.index, "tool" .. call.index, call["function"].arguments)
    end
    if choice.logprobs == cjson.null and not choice.text then
        -- They were taken out: what stands left and right of them is no longer one text.
        add(found, choice.index, "tokens", "█")
    end
    local logprobs = type(choice.logprobs) == "table" and choice.logprobs or {}
    for _, token in ipairs(logprobs.content or {}) do
        add(found, choice.index, "tokens", token.token)
    end
    for _, token in ipairs(logprobs.tokens or {}) do
        add(found, choice.index, "tokens", token)
    end
end

local function read_item(whole, item)
    whole[#whole + 1] = item.arguments
    for _, part in ipairs(item.content or {}) do
        whole[#whole + 1] = part.text
    end
end

-- The texts as a client has them, by key; and those that were repeated, in order.
function streams.read(bytes)
    local found, whole, last = {}, {}, nil
    for data in bytes:gmatch("data:[ ]?([^\r\n]*)") do
        last = data
        local event = data ~= "[DONE]" and cjson.decode(data) or {}
        for _, choice in ipairs(event.choices or {}) do
            read_choice(found, choice)
        end
        local kind = event.type or ""
        local field = kind:match("^response%.(.*)%.delta$")
        if field then
            add(found, event.output_index, field, event.delta)
        elseif kind == "content_block_delta" then
            add(found, event.index, "text", event.delta.text)
            add(found, event.index, "thinking", event.delta.thinking)
            add(found, event.index, "partial_json", event.delta.partial_json)
        elseif kind:find("%.done$") and not event.item then
            whole[#whole + 1] = event.text or event.refusal or event.arguments
        elseif kind == "response.completed" then
            read_item(whole, event.response.output[1])
        end
    end
    return found, whole, last
end

return streams
