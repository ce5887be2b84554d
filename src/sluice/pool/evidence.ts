/**
 * What an attempt that has ended says of its endpoint. Everything that counts attempts asks here.
 *
 * Engines answer a client's own mistakes with statuses from 500 on, and with error events in an answer of status 200. Nobody can tell
 * those from an engine that is ill by looking at one of them. So such failures count, but only so many of one caller's. The
 * silence of a request for a whole answer is one of them too: much that is asked for takes long.
 */

import { Outcome } from "./retry";

const enum Evidence {
  /** Nothing: it was not the endpoint that ended it. */
  None = 0,
  /** It has served the request. */
  Served = 1,
  /** It has answered that the request, or the gateway's account, is wrong: it works, but has served nobody. */
  Answered = 2,
  /** It has failed, perhaps only because of this request. */
  Doubtful = 3,
  /** It has failed, whoever asked. */
  Failed = 4,
  /** It has failed and can't be reached: refused, reset, silent, or broken off. */
  Lost = 5,
}

/** There was no error event in the answer. */
const NO_ERROR = -1;
/** nginx's own status for lack of memory or descriptors: nothing that an endpoint could help. */
const OWN_TROUBLE = 500;

/** Whether an error of that HTTP status is about the request. 501 and 505: the endpoint does not have what was asked for. */
function is_about_request(status: number): boolean {
  return (status >= 400 && status < 500) || status === 501 || status === 505;
}

/**
 * What an attempt says of its endpoint. `outcome`: how it ended. `status`: the endpoint's, or nginx's own if it has not answered.
 * `is_json`: by its headers the body is JSON. `is_cut`: an answer of a status below 300 broke off, fell silent or has no proper end. `error`:
 * the HTTP status that an error event in it stands for, 0 if it stands for none, or NO_ERROR.
 */
function evidence_of(outcome: Outcome, status: number, is_json: boolean, is_cut: boolean, error: number): Evidence {
  if (outcome === Outcome.ReadTimeout) {
    return Evidence.Doubtful;
  }
  if (outcome !== Outcome.Status) {
    return outcome === Outcome.Connect && status === OWN_TROUBLE ? Evidence.None : Evidence.Lost;
  }
  if (status < 300) {
    if (error !== NO_ERROR) {
      return is_about_request(error) ? Evidence.Answered : Evidence.Doubtful;
    }
    return is_cut ? Evidence.Lost : Evidence.Served;
  }
  if (status < 500 || is_about_request(status)) {
    return Evidence.Answered;
  }
  return status === 500 && is_json ? Evidence.Doubtful : Evidence.Failed;
}

/** Whether it speaks against the endpoint. */
function is_failure(evidence: Evidence): boolean {
  return evidence >= Evidence.Doubtful;
}

export { Evidence, NO_ERROR, evidence_of, is_failure };
