/**
 * A gate: something that happens once, and that any number of requests wait for without holding up the worker.
 */

import * as semaphores from "ngx.semaphore";
import type { Gate } from "../auth/jwks";

/** Makes a closed gate, for phases that may sleep. */
function new_gate(): Gate {
  const [semaphore] = semaphores.new(0);
  let is_open = false;
  return {
    wait: (seconds) => {
      if (!is_open && semaphore !== undefined) {
        semaphore.wait(seconds);
      }
    },
    open: () => {
      is_open = true;
      if (semaphore !== undefined) {
        const waiting = -semaphore.count();
        if (waiting > 0) {
          semaphore.post(waiting);
        }
      }
    },
  };
}

export { new_gate };
