local content_type = require("sluice.wire.content_type")

describe("the type of a scanned answer", function()
    for _, type in ipairs({
        "application/json", "Application/JSON", "application/json;charset=utf-8", "application/json; charset=UTF-8",
        'application/json; charset="utf-8"', "application/json ;\tCharset=utf8 ", "application/json; profile=x", "",
    }) do
        it("stays: " .. type, function() assert.is_nil(content_type.utf8_type(type, "application/json")) end)
    end

    for _, type in ipairs({
        "application/json; charset=gbk", 'application/json; charset="GB18030"', "application/json;CHARSET=utf-7",
        "application/json; charset=utf-16le",
        "application/json; charset=utf-8; charset=gbk", "application/json; charset=gbk; charset=utf-8", "application/json; x=y; charset=big5",
        "application/json; charset = gbk", "application/json; charset=", "application/json; charset", "application/json; charset=utf-8x",
        "application/json; charset*=utf-8''gbk", "application/json; x=\"; charset=utf-8", "application/json, text/html",
        "application/json; charset=utf-8, text/html; charset=gbk", "application/json; charset='gbk'", "application/json;charset=utf-8;",
    }) do
        it("says that it is UTF-8: " .. type, function()
            assert.equal("application/json; charset=utf-8", content_type.utf8_type(type, "application/json"))
        end)
    end
end)

describe("what an answer is", function()
    local UNKNOWN, JSON, EVENTS, OTHER = 0, 1, 2, 3

    for _, case in ipairs({
        { "application/json", JSON }, { "application/json; charset=utf-8", JSON }, { "Application/JSON", JSON },
        { "application/problem+json", JSON },
        { "text/event-stream", EVENTS }, { "text/event-stream;charset=utf-8", EVENTS }, { "Text/Event-Stream; a=b", EVENTS },
        { "", UNKNOWN }, { "text/plain", UNKNOWN }, { "text/plain; charset=utf-8", UNKNOWN }, { "application/octet-stream", UNKNOWN },
        { "Application/Octet-Stream", UNKNOWN }, { "binary/octet-stream", UNKNOWN },
        { "text/html", OTHER }, { "image/png", OTHER }, { "audio/mpeg", OTHER }, { "multipart/mixed", OTHER }, { "text/plainer", OTHER },
        { "image/svg+json", OTHER },
    }) do
        it("by its type: " .. case[1], function() assert.equal(case[2], content_type.kind_of_type(case[1])) end)
    end

    local BODIES = {
        { '{"a":1}', JSON, 1 }, { "[1]", JSON, 1 }, { " \r\n\t{", JSON, 5 },
        { "data: x", EVENTS, 5 }, { "data\n", EVENTS, 5 }, { "event: a", EVENTS, 6 }, { "event\r\n", EVENTS, 6 }, { ": ping", EVENTS, 1 },
        { "id: 1", EVENTS, 3 }, { "retry: 5", EVENTS, 6 }, { "\n\ndata:x", EVENTS, 7 },
        { "\239\187\191data: x", EVENTS, 8 }, { "\239\187\191: x", EVENTS, 4 }, { "\239\187\191\ndata: x", EVENTS, 4 },
        { "\239\187\191{}", OTHER, 4 }, { "\239\188\129", OTHER, 2 }, { "<html>", OTHER, 1 }, { "Internal Server Error", OTHER, 1 },
        { "dates: ", OTHER, 4 }, { "database", OTHER, 5 }, { "data x", OTHER, 5 }, { "\255\216\255", OTHER, 1 }, { "null", OTHER, 1 },
        { "ID3", OTHER, 1 },
        { "", UNKNOWN }, { " \n", UNKNOWN }, { "dat", UNKNOWN }, { "\239\187", UNKNOWN }, { "\239\187\191ev", UNKNOWN },
    }
    for _, case in ipairs(BODIES) do
        local body, wanted, known_at = unpack(case)
        it(("by its body, as soon as it can be told: %q"):format(body), function()
            assert.equal(wanted, content_type.kind_of_body(body))
            for length = 0, #body - 1 do
                local expected = known_at ~= nil and length >= known_at and wanted or UNKNOWN
                assert.equal(expected, content_type.kind_of_body(body:sub(1, length)), length)
            end
        end)
    end

    for type, wanted in pairs({
        ["text/plain"] = "text/plain; charset=utf-8", ["Text/Plain; format=flowed"] = "text/plain; charset=utf-8",
        ["text/plain; charset=gbk"] = "text/plain; charset=utf-8",
        ["application/octet-stream; charset=gbk"] = "application/octet-stream; charset=utf-8",
        ["text/plain; charset=utf-8"] = false, ["application/octet-stream"] = false, [""] = false,
    }) do
        it("says that text is UTF-8: " .. type, function() assert.equal(wanted or nil, content_type.utf8_vague_type(type)) end)
    end
end)
