/**
 * Loaded before a server that would listen on every address: makes it listen on 127.0.0.1. It acts once, at
 * the start, and costs a request nothing.
 */
import { Server } from "node:net";

// The method is called with its server below, by `call`.
// eslint-disable-next-line @typescript-eslint/unbound-method
const listen = Server.prototype.listen as (this: Server, ...parameters: unknown[]) => Server;

Server.prototype.listen = function (this: Server, ...parameters: unknown[]): Server {
  const [port, ...others] = parameters;
  if (typeof port === "number" && typeof others[0] !== "string") {
    const rest = others[0] === undefined ? others.slice(1) : others;
    return listen.call(this, port, "127.0.0.1", ...rest);
  }
  return listen.call(this, ...parameters);
};
