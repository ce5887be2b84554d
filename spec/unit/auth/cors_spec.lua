local cors_module = require("sluice.auth.cors")

local APP, LOCAL = "https://app.example.com", "http://localhost:5173"

local function made(...)
    return cors_module.make_cors({ origins = { ... }, max_age = 600000 })
end

describe("cross-origin sharing", function()
    it("is off without a section", function()
        assert.is_nil(cors_module.make_cors(nil))
    end)

    it("has its time in whole seconds", function()
        assert.equal(600, made(APP).max_age)
        assert.equal(1, cors_module.make_cors({ origins = { APP }, max_age = 1999 }).max_age)
    end)

    it("lets in the origins that it names, and none that is only like them", function()
        local cors = made(APP, LOCAL)
        assert.equal(APP, cors_module.allowed_origin(cors, APP))
        assert.equal(LOCAL, cors_module.allowed_origin(cors, LOCAL))
        for _, origin in ipairs({
            "http://app.example.com", "https://app.example.com:8443", "https://app.example.com/", "https://app.example.com.evil.example",
            "https://evil.example?https://app.example.com", "https://sub.app.example.com", "https://APP.example.com", "http://localhost",
            "http://localhost:51730", "https://app.example.com, https://app.example.com", "", "*", "null",
        }) do
            assert.is_nil(cors_module.allowed_origin(cors, origin), origin)
        end
        assert.is_nil(cors_module.allowed_origin(cors, nil))
    end)

    it("lets any origin in where it says so, but not the one that pages without an origin have", function()
        local cors = made("*")
        assert.equal("*", cors_module.allowed_origin(cors, "https://anything.example"))
        assert.is_nil(cors_module.allowed_origin(cors, "null"))
        assert.is_nil(cors_module.allowed_origin(cors, nil))
    end)

    it("allows the headers that are asked for, if they are a list of names", function()
        for _, list in ipairs({ "authorization", "authorization,content-type,x-stainless-lang", "anthropic-version, X-API-Key" }) do
            assert.equal(list, cors_module.allowed_headers(list))
        end
        for _, list in ipairs({ "", "a: b", "a\r\nset-cookie: b", "a\n", "\xc3\xa9", "a;b", ("a"):rep(4097) }) do
            assert.is_nil(cors_module.allowed_headers(list), list)
        end
        assert.is_nil(cors_module.allowed_headers(nil))
    end)
end)
