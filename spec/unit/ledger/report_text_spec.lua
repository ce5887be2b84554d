local report_text = require("sluice.ledger.report_text")
local report = require("sluice.ledger.report")

local dollars, render = report_text.dollars, report_text.report_text

describe("ledger report", function()
    it("shows nano-dollars as dollars, exactly", function()
        for nano, expected in pairs({
            ["0"] = "0.00", ["1"] = "0.000000001", ["10000000"] = "0.01", ["100000000"] = "0.10", ["999999999"] = "0.999999999",
            ["1000000000"] = "1.00", ["1234500000"] = "1.2345", ["27670116110564327421"] = "27670116110.564327421",
            ["100000000000"] = "100.00",
        }) do
            assert.equal(expected, dollars(nano))
        end
    end)

    it("is CSV as RFC 4180 has it, in which no name is a formula", function()
        assert.equal('tenant,model,requests,input_tokens,cached_input_tokens,output_tokens,free_units,'
            .. 'cache_write_tokens,cache_write_1h_tokens,cost_usd\r\n'
            .. '"a""b, c",,1,2,3,4,6,8,7,0.000000005\r\n"\'=1+1,""",\'@x,18446744073709551616,0,0,0,0,0,0,0.00\r\n',
            render("csv", { "tenant", "model" }, {
                { 'a"b, c', nil, "1", "2", "3", "4", "6", "8", "7", "5" },
                { '=1+1,"', "@x", "18446744073709551616", "0", "0", "0", "0", "0", "0", "0" },
            }))
    end)

    it("is JSON with every digit", function()
        assert.equal('[\n{"key":"a\\u0022\\u000a","status":200,"requests":1,"input_tokens":9223372036854775808,"cached_input_tokens":0,'
            .. '"output_tokens":0,"free_units":7,'
            .. '"cache_write_tokens":8,"cache_write_1h_tokens":5,"cost_nano_usd":1500000000,"cost_usd":"1.50"},\n'
            .. '{"key":null,"status":null,"requests":0,"input_tokens":0,"cached_input_tokens":0,'
            .. '"output_tokens":0,"free_units":0,"cache_write_tokens":0,"cache_write_1h_tokens":0,"cost_nano_usd":0,"cost_usd":"0.00"}\n]\n',
            render("json", { "key", "status" }, {
                { 'a"\n', "200", "1", "9223372036854775808", "0", "0", "7", "8", "5", "1500000000" },
                { nil, nil, "0", "0", "0", "0", "0", "0", "0", "0" },
            }))
        assert.equal("[]\n", render("json", { "key" }, {}))
    end)

    it("is a table whose columns stand below each other", function()
        assert.equal("tenant  requests  input_tokens  cached_input_tokens  output_tokens  free_units  "
            .. "cache_write_tokens  cache_write_1h_tokens  cost_usd\n"
            .. "ä?b            1         22222                    3              4           7  "
            .. "                 8                      5      1.50\n"
            .. "-              0             0                    0              0           0  "
            .. "                 0                      0      0.00\n",
            render("table", { "tenant" }, { { "ä\27b", "1", "22222", "3", "4", "7", "8", "5", "1500000000" },
                { nil, "0", "0", "0", "0", "0", "0", "0", "0" } }))
    end)

    it("adds up by what it knows, each once", function()
        assert.same({ "tenant", "day" }, (report.parse_dimensions("tenant,day")))
        for list, unknown in pairs({
            [""] = "", ["tenant,"] = "", ["tenant,cost"] = "cost", ["day,day"] = "day", ["id;--"] = "id;--", [" day"] = " day",
        }) do
            assert.same({ nil, unknown }, { report.parse_dimensions(list) })
        end
    end)
end)
