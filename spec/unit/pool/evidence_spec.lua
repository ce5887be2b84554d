local evidence = require("sluice.pool.evidence")

local CONNECT, TIMEOUT, STATUS, BROKEN, CONNECT_TIMEOUT, READ_TIMEOUT = 1, 2, 3, 4, 5, 6
local NOTHING, SERVED, ANSWERED, DOUBTFUL, FAILED, LOST = 0, 1, 2, 3, 4, 5
local NO_ERROR = evidence.NO_ERROR

-- How the attempt ended: its outcome, the status, whether its body is JSON, whether it broke off, the status of an error event.
local ENDINGS = {
    { "a refused connection", { CONNECT, 502, false, false, NO_ERROR }, LOST },
    { "a connection that took too long", { CONNECT_TIMEOUT, 504, false, false, NO_ERROR }, LOST },
    { "a connection for which nginx had no descriptor", { CONNECT, 500, false, false, NO_ERROR }, NOTHING },
    { "silence before a stream", { TIMEOUT, 504, false, false, NO_ERROR }, LOST },
    { "silence before a whole answer, which may take long", { READ_TIMEOUT, 504, false, false, NO_ERROR }, DOUBTFUL },
    { "a reset before an answer", { BROKEN, 502, false, false, NO_ERROR }, LOST },
    { "an answer", { STATUS, 200, false, false, NO_ERROR }, SERVED },
    { "an answer that has no body", { STATUS, 204, false, false, NO_ERROR }, SERVED },
    { "an answer that broke off", { STATUS, 200, false, true, NO_ERROR }, LOST },
    { "a redirect", { STATUS, 302, false, false, NO_ERROR }, ANSWERED },
    { "400", { STATUS, 400, true, false, NO_ERROR }, ANSWERED },
    { "401", { STATUS, 401, true, false, NO_ERROR }, ANSWERED },
    { "404", { STATUS, 404, false, false, NO_ERROR }, ANSWERED },
    { "429", { STATUS, 429, true, false, NO_ERROR }, ANSWERED },
    { "499", { STATUS, 499, true, false, NO_ERROR }, ANSWERED },
    { "Ollama's and LiteLLM's 500, a JSON error", { STATUS, 500, true, false, NO_ERROR }, DOUBTFUL },
    { "a 500 that is a page", { STATUS, 500, false, false, NO_ERROR }, FAILED },
    { "llama.cpp's 501 to embeddings", { STATUS, 501, true, false, NO_ERROR }, ANSWERED },
    { "a 501 that is a page", { STATUS, 501, false, false, NO_ERROR }, ANSWERED },
    { "502", { STATUS, 502, true, false, NO_ERROR }, FAILED },
    { "503", { STATUS, 503, true, false, NO_ERROR }, FAILED },
    { "504", { STATUS, 504, true, false, NO_ERROR }, FAILED },
    { "505", { STATUS, 505, true, false, NO_ERROR }, ANSWERED },
    { "Anthropic's 529", { STATUS, 529, true, false, NO_ERROR }, FAILED },
    { "599", { STATUS, 599, false, false, NO_ERROR }, FAILED },
    { "vLLM's error event for a bad schema, in a whole answer", { STATUS, 200, false, false, 400 }, ANSWERED },
    { "an error event about the request, and then the end", { STATUS, 200, false, true, 400 }, ANSWERED },
    { "an error event about a limit", { STATUS, 200, false, false, 429 }, ANSWERED },
    { "an error event that names 501", { STATUS, 200, false, false, 501 }, ANSWERED },
    { "an error event of the endpoint's", { STATUS, 200, false, true, 500 }, DOUBTFUL },
    { "an error event of an endpoint that has too much to do", { STATUS, 200, false, true, 529 }, DOUBTFUL },
    { "an error event that says nothing more", { STATUS, 200, false, true, 0 }, DOUBTFUL },
}

describe("what an ended attempt says of its endpoint:", function()
    for _, ending in ipairs(ENDINGS) do
        local name, how, wanted = unpack(ending)
        it(name, function()
            local found = evidence.evidence_of(unpack(how))
            assert.equal(wanted, found)
            assert.equal(wanted >= DOUBTFUL, evidence.is_failure(found))
        end)
    end
end)
