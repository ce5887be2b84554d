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
