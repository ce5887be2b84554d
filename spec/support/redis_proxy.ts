/** A way to a Redis that can be made a bad one: what Redis answers comes late, in drips, or not all. */

import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { listen } from "./listen.ts";

interface Way {
  /** Everything that Redis answers comes so many milliseconds late. */
  lateMs: number;
  /** A byte each so many milliseconds; 0: all at once. */
  dripMs: number;
  /** A connection over which several scripts were sent at once is cut behind so many of their answers; 0: it is not. */
  answers: number;
}

interface RedisProxy {
  port: number;
  way: Way;
  /** How many connections were cut. */
  cuts(): number;
  stop(): Promise<void>;
}

function count(data: Buffer, text: string): number {
  return data.toString("latin1").split(text).length - 1;
}

async function startRedisProxy(redisPort: number): Promise<RedisProxy> {
  const way: Way = { lateMs: 0, dripMs: 0, answers: 0 };
  const sockets = new Set<Socket>();
  let cuts = 0;

  async function pass(data: Buffer, to: Socket): Promise<void> {
    if (way.lateMs > 0) await sleep(way.lateMs);
    if (way.dripMs === 0) to.write(data);
    else {
      for (const each of data) {
        if (to.destroyed) return;
        to.write(Buffer.from([each]));
        await sleep(way.dripMs);
      }
    }
  }

  const server = createServer((client) => {
    const redis = connect(redisPort, "127.0.0.1");
    let batch = false;
    let passed = Promise.resolve();
    for (const socket of [client, redis]) {
      const other = socket === client ? redis : client;
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
    client.on("data", (data) => {
      batch ||= count(data, "EVALSHA") > 1;
      redis.write(data);
    });
    redis.on("data", (data) => {
      const answers = batch && way.answers > 0 ? data.toString("latin1").match(/\$\d+\r\n[^\r]*\r\n/g) : null;
      if (answers !== null) {
        cuts += 1;
        client.end(answers.slice(0, way.answers).join(""), "latin1");
        redis.destroy();
      } else passed = passed.then(() => pass(data, client));
    });
  });
  const port = await listen(server);
  return {
    port,
    way,
    cuts: () => cuts,
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export { startRedisProxy };
export type { RedisProxy };
