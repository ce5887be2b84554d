local command = require("spec.unit.cli.command")
local key = require("sluice.cli.key")
local crypto = require("sluice.edge.crypto")
local decode = require("sluice.auth.base64url").decode_base64url

describe("A new API key", function()
    it("is 32 random bytes in base64url behind its prefix", function()
        local given
        local tools = {
            random_bytes = function(count)
                given = crypto.random_bytes(count)
                return given
            end,
        }
        for _ = 1, 50 do
            local made = key.new_key(tools)
            assert.equals(53, #made)
            assert.equals("sk-sluice-", made:sub(1, 10))
            assert.equals(32, #given)
            assert.equals(given, decode(made:sub(11)))
        end
        assert.not_equals(key.new_key(crypto), key.new_key(crypto))
    end)

    it("is printed once, with its hash for the configuration and for a key file", function()
        local folder = command.folder()
        local status, output, errors = command.run(folder, "key new --tenant acme --id web")
        assert.same({ 0, "" }, { status, errors })
        local made = output:match("^(sk%-sluice%-[%w_-]+)\n")
        local hash = crypto.sha256_hex(made)
        assert.is_nil(output:find(made, #made + 1, true))
        local item = output:match("%- (%b{})")
        assert.equals("{id: \"web\", sha256: \"" .. hash .. "\"}", item)
        assert.is_truthy(output:find("\nweb " .. hash .. "\n$"))

        command.write(folder .. "/made.yaml", "tenants: [{id: acme, api_keys: [" .. item .. "], api_keys_file: more}]\n" ..
            "models: [{name: a, pool: b}]\npools: [{name: b, endpoints: [{url: \"http://c\"}]}]\n")
        command.write(folder .. "/more", select(2, command.run(folder, "key new --tenant acme")):match("\n([^\n]+)\n$") .. "\n")
        status, output, errors = command.run(folder, "check made.yaml")
        command.remove(folder)
        assert.equals("", errors)
        assert.equals(0, status, output)
    end)
end)

describe("base64url", function()
    it("encodes what RFC 4648 encodes, without padding", function()
        local encode = require("sluice.cli.base64url").encode_base64url
        for text, encoded in pairs({
            [""] = "", f = "Zg", fo = "Zm8", foo = "Zm9v", foob = "Zm9vYg", fooba = "Zm9vYmE", foobar = "Zm9vYmFy",
            ["\xfb\xff\xfe"] = "-__-",
        }) do
            assert.equals(encoded, encode(text))
        end
    end)
end)
