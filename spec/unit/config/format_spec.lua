local format = require("sluice.config.format")

--- Each format: texts and what they become; `false`: refused.
local CASES = {
    duration = {
        ["200ms"] = 200, ["2s"] = 2000, ["1m"] = 60000, ["1h"] = 3600000, ["0.5s"] = 500, ["0s"] = 0,
        ["2"] = false, ["2S"] = false, ["2 s"] = false, ["-1s"] = false, [""] = false, ["s"] = false, ["1d"] = false,
        ["1m30s"] = false, ["1e3s"] = false,
    },
    bytes = {
        ["0"] = 0, ["65536"] = 65536, ["256k"] = 262144, ["1M"] = 1048576, ["2g"] = 2147483648,
        ["1.5k"] = false, ["-1"] = false, ["1kb"] = false, ["k"] = false, ["9999999999999999"] = false,
    },
    url = {
        ["http://a"] = "http://a", ["HTTPS://A.example:8443/base/"] = "HTTPS://A.example:8443/base/",
        ["http://[::1]:80"] = "http://[::1]:80", ["http://10.0.0.1"] = "http://10.0.0.1", ["http://a_b"] = "http://a_b",
        ["http://a/%41"] = "http://a/%41",
        ["a"] = false, ["//a"] = false, ["ftp://a"] = false, ["http://"] = false, ["http:///x"] = false, ["http://u@a"] = false,
        ["http://a?x"] = false, ["http://a#x"] = false, ["http://a:0"] = false, ["http://a:99999"] = false,
        ["http://a:"] = false, ["http://a b"] = false, ["http://a/../b"] = false, ["http://a/b/.."] = false,
        ["http://a/%zz"] = false, ["http://a/\n"] = false, ["http://[::1"] = false, ["http://[10.0.0.1]"] = false,
        ["http://[::1]80"] = false, ["http://256.1.1.1"] = false, ["http://010.1.1.1"] = false, ["http://1.2.3"] = false,
        ["http://-a"] = false, ["http://a..b"] = false, ["http://::1"] = false, ["http://a$b"] = false, ["http://a/$b\""] = false,
    },
    url_path = {
        ["/"] = "/", ["/health"] = "/health", ["/v1/models?limit=1&x=%20"] = "/v1/models?limit=1&x=%20", ["/.well-known/x"] = "/.well-known/x",
        [""] = false, ["health"] = false, ["http://a/"] = false, ["/a b"] = false, ["/a#b"] = false, ["/a\n"] = false, ["/a\0"] = false,
        ["/\228"] = false, ["/.."] = false, ["/a/../b"] = false, ["/./a"] = false, ["/a/..?b"] = false, ["/" .. ("a"):rep(1024)] = false,
    },
    base_path = {
        [""] = "", ["/api/v3"] = "/api/v3", ["/v1beta/openai"] = "/v1beta/openai", ["/v1"] = "/v1", ["/a.b/c-d_e~f"] = "/a.b/c-d_e~f",
        ["/"] = false, ["v1"] = false, ["/v1/"] = false, ["/a//b"] = false, ["/a/../b"] = false, ["/.."] = false, ["/a?b"] = false,
        ["/a#b"] = false, ["/a b"] = false, ["/a\n"] = false, ["/a%2e"] = false, ["/$\""] = false, ["http://a"] = false,
    },
    cidr = {
        ["10.0.0.0/8"] = "10.0.0.0/8", ["127.0.0.1"] = "127.0.0.1", ["2001:db8::/32"] = "2001:db8::/32", ["::1"] = "::1",
        ["10.0.0.1/8"] = false, ["10.0.0.0/33"] = false, ["10.0.0.0/"] = false, ["10.0.0.0/08"] = false, ["10.0.0"] = false,
        ["010.0.0.0"] = false, ["localhost"] = false, ["1::2::3"] = false, [""] = false,
    },
    sha256 = {
        [("aB"):rep(32)] = ("ab"):rep(32), [("1"):rep(64)] = ("1"):rep(64),
        [("a"):rep(63)] = false, [("a"):rep(65)] = false, [("g"):rep(64)] = false, [("a"):rep(64) .. "\n"] = false,
    },
    path = {
        ["keys.json"] = "/folder/keys.json", ["a/b"] = "/folder/a/b", ["/etc/keys"] = "/etc/keys", [""] = false,
    },
    identifier = {
        ["a"] = "a", ["A.b_c-9"] = "A.b_c-9", [("a"):rep(64)] = ("a"):rep(64),
        [""] = false, [("a"):rep(65)] = false, ["a b"] = false, ["a/b"] = false, ["\xc3\xa9"] = false, ["a\n"] = false,
    },
    model_name = {
        ["Qwen/Qwen2.5-72B-Instruct"] = "Qwen/Qwen2.5-72B-Instruct", ["mock;tokens=5"] = "mock;tokens=5",
        [("a"):rep(128)] = ("a"):rep(128),
        [""] = false, [("a"):rep(129)] = false, ["a b"] = false, ['a"b'] = false, ["a'b"] = false, ["a\\b"] = false,
        ["a\127"] = false, ["\xc3\xa9"] = false,
    },
    glob = { ["*"] = "*", ["gpt-*"] = "gpt-*", ["a b"] = false, [""] = false },
    redis_url = {
        ["redis://a"] = "redis://a", ["redis://a:6380/3"] = "redis://a:6380/3", ["redis://:p@a/"] = "redis://:p@a/",
        ["rediss://u:p%40s@a.example:6379/0"] = "rediss://u:p%40s@a.example:6379/0", ["redis://[::1]:1"] = "redis://[::1]:1",
        ["redis://10.0.0.1"] = "redis://10.0.0.1", ["redis://u:p:q@a"] = "redis://u:p:q@a", ["redis://u:p@q@a"] = "redis://u:p@q@a",
        ["redis://"] = false, ["a"] = false, ["http://a"] = false, ["redis://a/x"] = false, ["redis://a/0/1"] = false, ["redis://a?b"] = false,
        ["redis://a:0"] = false, ["redis://u@a"] = false, ["redis://:p%@a"] = false, ["rediss://10.0.0.1"] = false, ["redis://a b"] = false,
        ["redis://a/123456"] = false, ["redis:/a"] = false, [""] = false,
    },
    host_port = {
        ["a:1"] = "a:1", ["10.0.0.1:6379"] = "10.0.0.1:6379", ["[::1]:1"] = "[::1]:1",
        ["a"] = false, ["a:"] = false, [":1"] = false, ["a:65536"] = false, ["::1:1"] = false, ["a:1x"] = false,
    },
    hours = {
        ["22:00-06:00"] = "22:00-06:00", ["00:00-24:00"] = "00:00-24:00", ["23:59-00:00"] = "23:59-00:00", ["00:00-00:01"] = "00:00-00:01",
        [""] = false, ["6-8"] = false, ["6:00-8:00"] = false, ["24:00-06:00"] = false, ["22:00-24:01"] = false, ["22:60-23:00"] = false,
        ["25:00-06:00"] = false, ["22:00-06:60"] = false, ["22:00"] = false, ["22:00 - 06:00"] = false, ["06:00-06:00"] = false,
        ["22:00-06:00\n"] = false, ["22:00-06:000"] = false,
    },
    origin = {
        ["*"] = "*", ["https://app.example.com"] = "https://app.example.com", ["HTTPS://App.Example.com:443"] = "https://app.example.com",
        ["http://localhost:5173"] = "http://localhost:5173", ["http://a:80"] = "http://a", ["http://a:443"] = "http://a:443",
        ["http://[::1]:3000"] = "http://[::1]:3000", ["http://127.0.0.1"] = "http://127.0.0.1", ["app://obsidian.md"] = "app://obsidian.md",
        ["chrome-extension://abcdefghijklmnop"] = "chrome-extension://abcdefghijklmnop", ["capacitor://localhost"] = "capacitor://localhost",
        [""] = false, ["null"] = false, ["NULL"] = false, ["app.example.com"] = false, ["//a"] = false, ["https://"] = false, ["https://a/"] = false,
        ["https://a/b"] = false, ["https://u@a"] = false, ["https://a?b"] = false, ["https://a#b"] = false, ["https://*.a"] = false,
        ["*://a"] = false, ["https://*"] = false, ["https://a:"] = false, ["https://a:0"] = false, ["https://a:99999"] = false,
        ["https://a b"] = false, ["https://a, https://b"] = false, ["https://a\n"] = false, ["file://"] = false, ["https://\xc3\xa9.example"] = false,
        ["https://" .. ("a"):rep(300)] = false,
    },
    header_name = {
        ["X-Tier"] = "X-Tier", ["X-Session-Id"] = "X-Session-Id", ["a"] = "a", [("a"):rep(128)] = ("a"):rep(128),
        ["\xc3\xa9"] = false, ["x\n"] = false,
        [""] = false, ["X_Tier"] = false, ["a b"] = false, ["a:"] = false, ["a\r\nb"] = false, [("a"):rep(129)] = false,
        ["Authorization"] = false, ["x-api-key"] = false, ["API-Key"] = false, ["Cookie"] = false,
    },
    header_value = {
        ["a"] = "a", ["a b"] = "a b", ["$host"] = "$host", ["a: b; c=\"d\""] = "a: b; c=\"d\"", [("a"):rep(4096)] = ("a"):rep(4096),
        [""] = false, [" a"] = false, ["a "] = false, ["a\r\nb: c"] = false, ["a\nb"] = false, ["a\rb"] = false, ["a\0"] = false,
        ["a\tb"] = false, ["\127"] = false, ["\xc3\xa9"] = false, [("a"):rep(4097)] = false, ["a\n"] = false,
    },
    credential = {
        ["sk-1"] = "sk-1", ["!~"] = "!~",
        [""] = false, ["a b"] = false, ["a\n"] = false, ["a\rX: y"] = false, ["\xc3\xa9"] = false, [("a"):rep(4097)] = false,
    },
}

describe("The format", function()
    it("is known by each name that is tested here, and by no other", function()
        for name in pairs(format.FORMATS) do
            assert.is_not_nil(CASES[name], name)
        end
        for name in pairs(CASES) do
            assert.is_not_nil(format.FORMATS[name], name)
        end
    end)

    for name, cases in pairs(CASES) do
        it(name .. " takes and refuses what it should", function()
            for text, expected in pairs(cases) do
                local value = format.FORMATS[name].read(text, "/folder")
                assert.equals(expected or nil, value, ("%q"):format(text))
            end
        end)
    end

    it("path without a folder stays as it is", function()
        assert.equals("keys.json", (format.FORMATS.path.read("keys.json", "")))
    end)
end)

describe("A URL's parts", function()
    it("are what an endpoint is reached by", function()
        assert.same({ tls = true, host = "a.example", port = 6380, user = "u", password = "p@:%", database = 3 },
            (format.split_redis_url("rediss://u:p%40%3a%25@A.example:6380/3")))
        assert.same({ tls = false, host = "a", port = 6379, user = "", password = "p", database = 0 }, (format.split_redis_url("redis://:p@a")))
        assert.same({ tls = false, host = "::1", port = 6379, user = "", password = "", database = 0 }, (format.split_redis_url("redis://[::1]")))
        assert.same({ scheme = "http", host = "a.example", port = 80, path = "" }, (format.split_url("HTTP://A.Example")))
        assert.same({ scheme = "https", host = "a", port = 443, path = "/b/c" }, (format.split_url("https://a/b/c///")))
        assert.same({ scheme = "http", host = "::1", port = 8000, path = "" }, (format.split_url("http://[::1]:8000/")))
    end)
end)
