-- Nasty words in every text of every stream, cut wherever bytes or events can be cut.

local answer = require("sluice.wire.answer")
local guarding = require("spec.unit.guard.guarding")
local stream = require("sluice.guard.stream")

local WORDS = "敏感词\nbad\nso bad\n𠀀𠀁\n4-me\ncặc\nกู\nсука\nガス\n한글\nёж"
local GUARDS = {
    mask = guarding.guard({ { words = WORDS, action = "mask" } }),
    block = guarding.guard({ { words = WORDS, action = "block" } }),
}

-- What stands before the word, the word, and what stands behind it.
local TEXTS = {
    { "x", "敏感词", "y" }, { "", "敏感词", "" }, { "a😀", "敏感词", "😀词" }, { "敏感", "敏感词", "感词" }, { "",
    "敏。感😀词", "" },
    { "a ", "bad", "." }, { "", "bad", "" }, { "abad ba ", "bad", "，e" }, { "so ", "so bad", " so" }, { "𠀀", "𠀀𠀁", "𠀁b" },
    { "是", "4-me", "是" },
    { "các ", "ca\204\134\204\163c", " ca" }, { "กา", "กู", "ง" }, { "", "cука", "ми" }, { "カス", "ｶﾞス", "か" },
    { "하", "ㅎㅏㄴ글", "ㅏ" }, { "еж ", "е\204\136ж", "" },
}

local function chat(choice)
    return 'data: {"id":"c","choices":[{"index":0,' .. choice .. '}]}\n\n'
end

local function delta(members)
    return chat('"delta":{' .. members .. "}")
end

local function event(name, members)
    return ('event: %s\ndata: {"type":"%s",%s}\n\n'):format(name, name, members)
end

local function response_delta(name, numbers)
    return event("response." .. name .. ".delta", '"output_index":1,' .. (numbers or '"content_index":0') .. ',"delta":"@"')
end

local function done(name, member)
    return event("response." .. name .. ".done", '"output_index":1,"content_index":0,"' .. member .. '":"@"')
end

local function block_delta(members)
    return event("content_block_delta", '"index":2,"delta":{' .. members .. "}")
end

-- Events with @ where the text is. `nested`: it is JSON inside JSON. `whole`: it stands in one event. `tokens`: log probabilities.
local FORMS = {
    chat = {
        content = { delta('"content":"@"') },
        ["a part of the content"] = { delta('"content":[{"type":"text","text":"@"}]') },
        reasoning_content = { delta('"content":null,"reasoning_content":"@"') },
        reasoning = { delta('"reasoning":"@"') },
        refusal = { delta('"refusal":"@"') },
        ["the arguments of a tool"] = { delta('"tool_calls":[{"index":1,"function":{"arguments":"@"}}]'), nested = true },
        ["the arguments of a function"] = { delta('"function_call":{"arguments":"@"}'), nested = true },
        ["the input of a custom tool"] = { delta('"tool_calls":[{"index":0,"custom":{"input":"@"}}]') },
        ["what is spoken"] = { delta('"audio":{"id":"a","transcript":"@"}') },
        ["the name of a tool"] = { delta('"tool_calls":[{"index":0,"function":{"name":"@","arguments":""}}]'), whole = true },
        ["a member nobody knows"] = { delta('"content":"","novel":{"a":["@"]}'), whole = true },
        ["log probabilities"] = { chat('"delta":{},"logprobs":{"content":[{"token":"@","logprob":-1}],"refusal":null}'), tokens = true },
        ["log probabilities of a refusal"] = { chat('"delta":{},"logprobs":{"refusal":[{"token":"@","bytes":[1]}]}'), tokens = true },
        ["a number behind the text"] = { 'data: {"choices":[{"delta":{"content":"@"},"index":1}]}\n\n' },
        ["a number behind arguments"] = {
            'data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"@"},"index":1}]},"index":1}]}\n\n', nested = true,
        },
        ["data in two lines"] = { 'data: {"choices":[{"index":0,"delta":\r\ndata: {"content":"@"}}]}\r\n: x\r\n\r\n' },
    },
    completions = {
        text = { chat('"text":"@","logprobs":null') },
        ["log probabilities"] = { chat('"logprobs":{"tokens":["@"],"token_logprobs":[-1]},"text":""'), tokens = true },
    },
    responses = {
        output_text = { response_delta("output_text") },
        refusal = { response_delta("refusal") },
        reasoning_text = { response_delta("reasoning_text") },
        reasoning_summary_text = { response_delta("reasoning_summary_text", '"summary_index":1') },
        ["a number behind the text"] = { event("response.output_text.delta", '"delta":"@","output_index":3') },
        ["the arguments of a function"] = { response_delta("function_call_arguments", '"item_id":"敏感词"'), nested = true },
        ["the arguments of a server's tool"] = { response_delta("mcp_call_arguments"), nested = true },
        ["the input of a custom tool"] = { response_delta("custom_tool_call_input") },
        ["text repeated"] = { done("output_text", "text"), whole = true },
        ["a refusal repeated"] = { done("refusal", "refusal"), whole = true },
        ["reasoning repeated"] = { done("reasoning_summary_text", "text"), whole = true },
        ["arguments repeated"] = { done("function_call_arguments", "arguments"), whole = true, nested = true },
        ["a part repeated"] = { event("response.content_part.done", '"output_index":0,"part":{"text":"@"}'), whole = true },
        ["an item repeated"] = { event("response.output_item.done", '"output_index":0,"item":{"arguments":"@"}'), whole = true, nested = true },
        ["all repeated"] = { event("response.completed", '"response":{"id":"r","output":[{"content":[{"text":"@"}]}]}'), whole = true },
        ["all arguments repeated"] = { event("response.completed", '"response":{"output":[{"arguments":"@"}]}'), whole = true, nested = true },
    },
    messages = {
        text = { block_delta('"type":"text_delta","text":"@"') },
        thinking = { block_delta('"type":"thinking_delta","thinking":"@"') },
        input_json = { block_delta('"type":"input_json_delta","partial_json":"@"'), nested = true },
        ["the beginning of a block"] = { event("content_block_start", '"index":0,"content_block":{"type":"text","text":"@"}'), whole = true },
    },
}

-- By API: what comes before and behind the text.
local FIRST = {
    chat = delta('"role":"assistant","content":""'), completions = chat('"text":""'),
    responses = event("response.created", '"response":{"id":"r","status":"in_progress","instructions":"敏感词"}'),
    messages = event("message_start", '"message":{"id":"m","content":[],"usage":{"input_tokens":1}}'),
}
local LAST = {
    chat = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n', completions = "data: [DONE]\n\n",
    responses = event("response.completed", '"response":{"id":"r","output":[]}'),
    messages = event("message_stop", '"x":1'),
}

local function utf16(character)
    local lead, a, b, c = character:byte(1, 4)
    if lead < 128 then
        return ("u%04x"):format(lead)
    elseif lead < 224 then
        return ("u%04x"):format((lead % 32) * 64 + a % 64)
    elseif lead < 240 then
        return ("u%04X"):format((lead % 16) * 4096 + (a % 64) * 64 + b % 64)
    end
    local offset = (lead % 8) * 262144 + (a % 64) * 4096 + (b % 64) * 64 + c % 64 - 65536
    return ("u%04x"):format(0xD800 + math.floor(offset / 1024)), ("u%04x"):format(0xDC00 + offset % 1024)
end

-- What is no character of its own when it is masked.
local MARKS = { ["\204\134"] = true, ["\204\136"] = true, ["\204\163"] = true, ["ู"] = true, ["ﾞ"] = true }
local SEPARATORS = { [" "] = true, ["。"] = true, ["😀"] = true, ["-"] = true }

-- An escape of the inner JSON can be cut anywhere: all of it becomes what its last digit becomes.
local function add_inner_escape(units, masked, high, low)
    local text = "\\" .. high .. (low and "\\" .. low or "")
    for at = 1, #text do
        local raw = text:sub(at, at):gsub("\\", "\\\\")
        units[#units + 1] = { raw, masked and (at == #text and "█" or "") or raw, masked = masked, first = at == 1 }
    end
end

local function add_characters(units, text, style, masked)
    for character in text:gmatch("[%z\1-\127\194-\244][\128-\191]*") do
        local high, low = utf16(character)
        if style == "inner escapes" then
            add_inner_escape(units, masked and true, high, low)
        else
            local raw = style == "escapes" and "\\" .. high .. (low and "\\" .. low or "") or character
            local out = masked and not SEPARATORS[character] and (MARKS[character] and "" or "█") or raw
            units[#units + 1] = { raw, out, masked = masked, first = true }
        end
    end
end

-- The pieces that a text can be cut into: each as it comes and as it goes on.
local function units_of(text, style, nested)
    local units = {}
    if nested then
        units = { { '{\\"q\\":\\"', '{\\"q\\":\\"' } }
    end
    add_characters(units, text[1], style)
    add_characters(units, text[2], style, true)
    add_characters(units, text[3], style)
    if nested then
        units[#units + 1] = { '\\"}', '\\"}' }
    end
    return units
end

local function filled(form, units, from, to)
    local raw, out, masked, begins = {}, {}, false, false
    for at = from, to do
        raw[#raw + 1] = units[at][1]
        out[#out + 1] = units[at][2]
        masked = masked or units[at].masked
        begins = begins or (units[at].masked and not (units[at - 1] or {}).masked)
    end
    local before, behind = form[1]:match("^(.*)@(.*)$")
    local made = { raw = before .. table.concat(raw) .. behind, out = before .. table.concat(out) .. behind, begins = begins }
    if form.tokens and masked then
        made.out = made.raw:gsub('"logprobs":%b{}', '"logprobs":null')
    end
    return made
end

-- Has a stream guarded that comes in such chunks. Returns what went on, and whether it was blocked.
local function pass(api, chunks, action)
    local reader = answer.take_answer(api, false)
    local guarded = stream.guard_stream(reader, GUARDS[action])
    local parts = {}
    for index, chunk in ipairs(chunks) do
        parts[index] = stream.read_guarded(guarded, chunk, index)
    end
    parts[#parts + 1] = stream.end_guarded(guarded, 99)
    local unreadable = guarded.unreadable
    answer.return_answer(reader)
    assert(not unreadable)
    return table.concat(parts), guarded.blocked
end

local function check(api, chunks, expected, before)
    local out, blocked = pass(api, chunks, "mask")
    if blocked or out ~= expected then
        assert.same({ expected, chunks }, { out, chunks })
    end
    out, blocked = pass(api, chunks, "block")
    if not blocked or out ~= before then
        assert.same({ before, true, chunks }, { out, blocked, chunks })
    end
end

-- The text in one event, its bytes cut in two, everywhere.
local function cut_bytes(api, form, units)
    local made = filled(form, units, 1, #units)
    local bytes, expected = FIRST[api] .. made.raw .. LAST[api], FIRST[api] .. made.out .. LAST[api]
    for at = #FIRST[api], #FIRST[api] + #made.raw do
        check(api, { bytes:sub(1, at), bytes:sub(at + 1) }, expected, FIRST[api])
    end
end

-- The text in several events.
local function cut_events(api, form, units, ends, all)
    local chunks, out, before, from = { FIRST[api] }, { FIRST[api] }, FIRST[api], 1
    local begun = false
    for _, to in ipairs(ends) do
        local made = filled(form, units, from, to)
        chunks[#chunks + 1] = made.raw
        out[#out + 1] = made.out
        begun = begun or made.begins
        before = begun and before or before .. made.raw
        from = to + 1
    end
    chunks[#chunks + 1] = LAST[api]
    out[#out + 1] = LAST[api]
    check(api, all and { table.concat(chunks) } or chunks, table.concat(out), before)
end

local function cut_everywhere(api, form, units)
    local each = {}
    for at = 1, #units do
        each[at] = at
        cut_events(api, form, units, { at, #units })
        for last = at, math.min(at + 7, #units) do
            cut_events(api, form, units, { at, last, #units }, last % 2 == 0)
        end
    end
    cut_events(api, form, units, each)
end

describe("a listed word is kept from the client however it is cut", function()
    for api, forms in pairs(FORMS) do
        for name, form in pairs(forms) do
            for _, style in ipairs(form.nested and { "characters", "escapes", "inner escapes" } or { "characters", "escapes" }) do
                it(("in %s: %s, as %s"):format(api, name, style), function()
                    for number, text in ipairs(TEXTS) do
                        local units = units_of(text, style, form.nested)
                        if number % 3 == 1 then
                            cut_bytes(api, form, units)
                        end
                        if not form.whole then
                            cut_everywhere(api, form, units)
                        end
                    end
                end)
            end
        end
    end
end)
