/**
 * RSA keys of a broken generator (CVE-2017-15361, "ROCA"): whoever has the public key can compute the private one.
 *
 * The generator made primes of the form k·M + (65537^a mod M), where M is the product of the first primes: of 126 of them for keys
 * from 1984 bits on, of 225 for keys from 3968 bits on (Nemec, Sýs, Švenda, Klinec, Matyáš: "The Return of Coppersmith's Attack",
 * CCS 2017, sections 2.1 and 2.3). So modulo each of those primes the key's modulus, a product of two such, is a power of 65537.
 * Another key's modulus is one modulo a single prime often, but modulo all 126 with a probability below 2^-100.
 */

const byte = string.byte;

/** The first 126 primes end here. */
const LAST_PRIME = 701;
const GENERATOR = 65537;

/** The odd primes up to LAST_PRIME; two says nothing, as every modulus is odd. */
function small_primes(): number[] {
  const primes: number[] = [];
  for (const candidate of $range(3, LAST_PRIME, 2)) {
    let is_prime = true;
    for (const prime of primes) {
      is_prime = is_prime && candidate % prime !== 0;
    }
    if (is_prime) {
      primes.push(candidate);
    }
  }
  return primes;
}

/** A number, given as big-endian bytes, modulo a small one. */
function remainder(number: string, divisor: number): number {
  let rest = 0;
  for (const at of $range(1, number.length)) {
    rest = (rest * 256 + byte(number, at)) % divisor;
  }
  return rest;
}

/** Whether a number is a power of the generator modulo a prime. */
function is_power(number: number, prime: number): boolean {
  let power = 1;
  do {
    if (power === number) {
      return true;
    }
    power = (power * (GENERATOR % prime)) % prime;
  } while (power !== 1);
  return false;
}

/** Whether an RSA modulus of 1984 bits or more, as big-endian bytes, is of that generator. */
function is_of_weak_generator(modulus: string): boolean {
  for (const prime of small_primes()) {
    if (!is_power(remainder(modulus, prime), prime)) {
      return false;
    }
  }
  return true;
}

export { is_of_weak_generator };
