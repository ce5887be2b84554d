/** An upstream that answers each request with exactly the bytes that its test has prepared, be they HTTP or not. */

import { createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { listen } from "./listen.ts";

interface RawScript {
  /** Each is written by itself. */
  pieces: (string | Buffer)[];
  /** Milliseconds between two pieces. */
  gap?: number;
  /** How the connection ends behind them: in order, reset, or not at all. */
  end: "closed" | "reset" | "open";
}

interface RawScripts {
  url: string;
  /** Prepares an answer. A request asks for it with the name that is returned as its member `user`. */
  prepare(script: RawScript): string;
  stop(): Promise<void>;
}

async function play(socket: Socket, script: RawScript): Promise<void> {
  for (const piece of script.pieces) {
    if (socket.destroyed) return;
    socket.write(typeof piece === "string" ? Buffer.from(piece) : piece);
    await sleep(script.gap ?? 20);
  }
  if (script.end === "closed") socket.end();
  else if (script.end === "reset") socket.resetAndDestroy();
}

/** Starts one on a free port of 127.0.0.1. */
async function startRawScripts(): Promise<RawScripts> {
  const scripts = new Map<string, RawScript>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    let received = "";
    socket.on("data", (data: Buffer) => {
      received += data.toString("latin1");
      const [, name] = /"user":"(raw-\d+)"/.exec(received) ?? [];
      const script = name === undefined ? undefined : scripts.get(name);
      if (script === undefined) return;
      received = "";
      void play(socket, script);
    });
    // The peer may go whenever it likes.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}`,
    prepare(script) {
      const name = `raw-${scripts.size}`;
      scripts.set(name, script);
      return name;
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export { startRawScripts };
export type { RawScript, RawScripts };
