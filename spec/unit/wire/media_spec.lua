-- Media in requests of every API: none of it counts as text, wherever its part's type stands, and what is called a text does.

local json = require("sluice.wire.json")
local json_media = require("sluice.wire.json_media")
local request = require("sluice.wire.request")

-- That of every gateway: it knows of text that is scanned and not counted.
require("sluice.wire.text").use_text_sink(require("sluice.guard.text_sink").GUARDED_TEXT)

local BYTES = ("iVBORw0KGgoAAAANSUhEUgAA+/AB"):rep(40)
local URL = "data:image/png;base64," .. BYTES

local function range(source, from, to) return source:sub(from + 1, to) end

local function tokens(api, body, guarded, size)
    local reader = request.take(api, guarded or false)
    for at = 1, #body, size or #body do
        request.read(reader, body:sub(at, at + (size or #body) - 1))
    end
    local undecided = request.is_undecided(reader)
    local reading, refusal = request.conclude(reader, range, body)
    request.release(reader)
    assert(reading, refusal and refusal.message)
    return reading.prompt_tokens, undecided
end

-- Where each API takes parts of media; %s is one.
local BODIES = {
    chat = { '{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"What?"},%s]}]}' },
    responses = {
        '{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"What?"},%s]}]}',
        '{"model":"m","input":[{"type":"function_call_output","call_id":"c","output":[%s]}]}', '{"model":"m","input":[%s]}',
    },
    messages = {
        '{"model":"m","max_tokens":5,"messages":[{"role":"user","content":[%s]}]}',
        '{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[%s]}]}]}',
    },
    embeddings = { '{"model":"m","input":[%s]}', '{"model":"m","input":%s}', '{"model":"m","messages":[{"role":"user","content":[%s]}]}' },
    completions = { '{"model":"m","prompt":"What?","multi_modal_data":[%s]}', '{"model":"m","prompt":"What?","image_data":%s}' },
}

-- Parts as clients send them; $ stands for bytes, @ for a data URL.
local PARTS = {
    '{"type":"image_url","image_url":{"url":"@"}}', '{"image_url":{"url":"@"},"type":"image_url"}', '{"type":"image_url","image_url":"@"}',
    '{"type":"input_image","image_url":"@"}', '{"detail":"auto","image_url":"@","type":"input_image"}',
    '{"type":"image_embeds","image_embeds":"$"}', '{"type":"image_embeds","image_embeds":{"image_embeds":"$","image_grid_thw":"$"}}',
    '{"image_embeds":"$","type":"image_embeds"}', '{"type":"audio_embeds","audio_embeds":"$"}',
    '{"type":"input_audio","input_audio":{"data":"$","format":"wav"}}', '{"input_audio":{"data":"$","format":"wav"},"type":"input_audio"}',
    '{"type":"audio_url","audio_url":{"url":"@"}}', '{"type":"video_url","video_url":{"url":"@"}}', '{"type":"input_video","video_url":"@"}',
    '{"type":"video","video":["@","@","@"]}', '{"video":["@","@"],"type":"video"}',
    '{"type":"document_url","document_url":"@"}', '{"type":"file","file":{"filename":"a.pdf","file_data":"@"}}',
    '{"file":{"file_data":"@"},"type":"file"}', '{"type":"input_file","file_data":"@"}', '{"file_data":"$","type":"input_file"}',
    '{"type":"image","source":{"type":"base64","media_type":"image/png","data":"$"}}',
    '{"source":{"data":"$","media_type":"image/png","type":"base64"},"type":"image"}',
    '{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"$"}}',
    '{"type":"image_generation_call","id":"i","result":"$"}', '{"id":"i","result":"$","type":"image_generation_call"}',
    -- What nobody knows yet.
    '{"type":"point_cloud","point_cloud":"$"}', '{"type":"scene","scene":{"frames":["@","@"],"depth":"$"}}', '{"image":"@"}', '{"volume":"@"}',
}

local function filled(template)
    return (template:gsub("[@$]", { ["@"] = URL, ["$"] = BYTES }))
end

describe("media in a request", function()
    for api, bodies in pairs(BODIES) do
        it("count for no text, also under a guard and wherever the body is cut: " .. api, function()
            for _, body in ipairs(bodies) do
                for _, part in ipairs(PARTS) do
                    local whole = body:format(filled(part))
                    for _, guarded in ipairs({ false, true }) do
                        for _, size in ipairs({ #whole, 1, 7, 64, 400 }) do
                            local counted = tokens(api, whole, guarded, size)
                            assert.is_true(counted < 60, ("%d: %s"):format(counted, body:format(part)))
                        end
                    end
                end
            end
        end)
    end

    it("count for no text with their slashes escaped, or in the other alphabet", function()
        local escaped = BYTES:gsub("/", "\\/")
        for _, bytes in ipairs({ "data:image\\/png;base64," .. escaped, escaped, (BYTES:gsub("/", "_"):gsub("+", "-")) }) do
            assert.is_true(tokens("chat", BODIES.chat[1]:format('{"type":"novel","novel":"' .. bytes .. '"}')) < 60)
        end
    end)

    it("are none where it is called a text, or is one", function()
        for api, part in pairs({
            chat = '{"type":"image_url","text":"$"}', responses = '{"type":"input_image","text":"$"}', messages = '{"type":"image","text":"$"}',
            embeddings = '{"type":"image_url","text":"$"}', completions = '{"text":"$"}',
        }) do
            assert.is_true(tokens(api, BODIES[api][1]:format(filled(part))) > 300, api)
            assert.is_true(tokens(api, BODIES[api][1]:format(filled(part)), true) > 300, api)
        end
        assert.is_true(tokens("chat", filled('{"model":"m","messages":[{"role":"user","content":"@"}]}')) > 300)
        assert.is_true(tokens("completions", filled('{"model":"m","prompt":"@"}')) > 300)
        assert.is_true(tokens("embeddings", filled('{"model":"m","input":["@"]}')) > 300)
        assert.is_true(tokens("responses", filled('{"model":"m","instructions":"$","input":""}')) > 300)
        -- The input of a tool is read by the model as it stands.
        assert.is_true(tokens("messages", BODIES.messages[1]:format(filled('{"type":"tool_use","id":"t","name":"f","input":{"x":"$"}}'))) > 300)
        local prose = ("The quick brown fox jumps over the lazy dog. "):rep(50)
        for _, source in ipairs({
            '{"type":"text","media_type":"text/plain","data":"%s"}', '{"data":"%s","media_type":"text/plain","type":"text"}',
        }) do
            local body = BODIES.messages[1]:format('{"type":"document","source":' .. source:format(prose) .. "}")
            assert.is_true(tokens("messages", body) > 300, source)
            assert.is_true(tokens("messages", body, true) > 300, source)
        end
    end)

    it("leave a walk undecided only where something passed over has another type, or none", function()
        for template, expected in pairs({
            ['{"type":"image_url","image_url":{"url":"@"}}'] = false, ['{"image_url":{"url":"@"},"type":"image_url"}'] = false,
            ['{"image_url":{"url":"@"},"type":"text"}'] = true, ['{"image_url":{"url":"@"}}'] = true, ['{"type":"text","image_url":"@"}'] = false,
            ['{"video":["@"],"type":"video"}'] = false, ['{"video":[["@"]],"type":"video"}'] = false,
            ['{"video":[[["@"]]],"type":"video"}'] = true,
            ['{"source":{"data":"$","type":"base64"},"type":"image"}'] = false, ['{"source":{"data":"$","type":"text"},"type":"document"}'] = true,
            ['{"source":{"data":"a text","type":"text"},"type":"document"}'] = false, ['{"image_url":"@","type":"image_\\u0075rl"}'] = true,
            ['{"novel":"@"}'] = false,
        }) do
            for _, size in ipairs({ 1, 5, 1000000 }) do
                local _, undecided = tokens("chat", BODIES.chat[1]:format(filled(template)), true, size)
                assert.equal(expected, undecided, template)
            end
        end
    end)
end)

describe("what looks like bytes in base64", function()
    local function looks(text) return json_media.looks_like_bytes(json.bytes_of(text), 0, #text) end

    it("is a data URL that says so, and a run of 64 characters", function()
        local run = ("Ab3+"):rep(16)
        for text, expected in pairs({
            [run .. '"'] = 1, [run:sub(2) .. '"'] = 0, [run:sub(2)] = -1, ['data:image/png;base64,"'] = 1, ["data:;base64,"] = 1,
            ["data:text/plain,hello"] = 0, ["data:text/plain;charset=utf-8;base64,aGk="] = 1, ["data:image"] = -1, ["dat"] = -1, ['data"'] = 0,
            ["data:" .. ("x"):rep(200) .. ";base64,"] = 0, ['data:image/png"'] = 0, ["database of words"] = 0, [("word "):rep(20)] = 0,
            [("\\/"):rep(64)] = 1, [("a"):rep(30) .. "\\n"] = 0, [("a"):rep(30) .. "\\"] = -1, [('用'):rep(64)] = 0,
        }) do
            assert.equal(expected, looks(text), text)
        end
    end)
end)
