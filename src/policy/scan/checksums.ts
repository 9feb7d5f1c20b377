// Check digits of identifiers: what tells a number that was issued from one that looks like it; depends on nothing.

const DIGIT_ZERO = 48;
const digitsOf = (text: string): number[] => Array.from(text, (char) => char.charCodeAt(0) - DIGIT_ZERO);
const weighted = (digits: readonly number[], weights: readonly number[]): number =>
  weights.reduce((sum, weight, index) => sum + weight * (digits[index] ?? 0), 0);

/** Luhn's formula (ISO/IEC 7812-1): every second digit from the right doubled, digit sums add up to a multiple of 10. */
export function luhn(digits: string): boolean {
  const sum = digitsOf(digits)
    .toReversed()
    .reduce((total, digit, index) => {
      const doubled = index % 2 === 1 ? digit * 2 : digit;
      return total + (doubled > 9 ? doubled - 9 : doubled);
    }, 0);
  return sum % 10 === 0;
}

/** Length of an IBAN by country, from SWIFT's registry; a country that is not here is not taken for one. */
const IBAN_LENGTH: Readonly<Record<string, number>> = {
  AD: 24, AE: 23, AL: 28, AT: 20, AZ: 28, BA: 20, BE: 16, BG: 22, BH: 22, BR: 29, BY: 28, CH: 21, CR: 22, CY: 28, CZ: 24, DE: 22,
  DK: 18, DO: 28, EE: 20, EG: 29, ES: 24, FI: 18, FO: 18, FR: 27, GB: 22, GE: 22, GI: 23, GL: 18, GR: 27, GT: 28, HR: 21, HU: 28,
  IE: 22, IL: 23, IQ: 23, IS: 26, IT: 27, JO: 30, KW: 30, KZ: 20, LB: 28, LC: 32, LI: 21, LT: 20, LU: 20, LV: 21, LY: 25, MC: 27,
  MD: 24, ME: 22, MK: 19, MR: 27, MT: 31, MU: 30, NL: 18, NO: 15, PK: 24, PL: 28, PS: 29, PT: 25, QA: 29, RO: 24, RS: 22, SA: 24,
  SC: 31, SE: 24, SI: 19, SK: 24, SM: 27, ST: 25, SV: 28, TL: 23, TN: 24, TR: 26, UA: 29, VA: 22, VG: 24, XK: 20,
}; // prettier-ignore

/** ISO 13616: country's length, and the rearranged number modulo 97 is 1. @param text without spaces, upper case */
export function iban(text: string): boolean {
  if (IBAN_LENGTH[text.slice(0, 2)] !== text.length) return false;
  let rest = 0;
  for (const char of text.slice(4) + text.slice(0, 4)) {
    const value = Number.parseInt(char, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}

/** A day that exists, from `YYYYMMDD`. */
function isDay(text: string): boolean {
  const [year, month, day] = [Number(text.slice(0, 4)), Number(text.slice(4, 6)), Number(text.slice(6, 8))];
  const date = new Date(Date.UTC(year, month - 1, day));
  return year >= 1850 && year <= 2100 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

/** GB 11643-1999: 17 digits with a birthday, and a check character of ISO 7064 MOD 11-2. */
export function chineseResidentId(text: string): boolean {
  if (!isDay(text.slice(6, 14))) return false;
  const sum = weighted(digitsOf(text.slice(0, 17)), [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
  return "10X98765432"[sum % 11] === text[17].toUpperCase();
}

/** Area, group and serial number that can have been issued: not 000, 666 or 9xx, not 00, not 0000. */
export const unitedStatesSsn = (text: string): boolean => /^(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}$/.test(text);

/** Singapore's NRIC and FIN: prefix letter, seven digits, check letter (series S, T, F, G). */
export function singaporeNric(text: string): boolean {
  const prefix = text[0].toUpperCase();
  const offset = prefix === "T" || prefix === "G" ? 4 : 0;
  const sum = weighted(digitsOf(text.slice(1, 8)), [2, 7, 6, 5, 4, 3, 2]) + offset;
  const letters = prefix === "S" || prefix === "T" ? "JZIHGFEDCBA" : "XWUTRQPNMLK";
  return letters[sum % 11] === text[8].toUpperCase();
}

/** Korea's resident registration number, `YYMMDD-SBBBBNC`. Numbers issued since October 2020 have a random tail and fail here. */
export function koreanResidentNumber(text: string): boolean {
  const digits = text.replace("-", "");
  const century = "1256".includes(digits[6]) ? "19" : "3478".includes(digits[6]) ? "20" : "18";
  if (!isDay(century + digits.slice(0, 6))) return false;
  const sum = weighted(digitsOf(digits), [2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]);
  return (11 - (sum % 11)) % 10 === Number(digits[12]);
}

/** France's NIR: 13 characters and their key, 97 − (number modulo 97); Corsica's 2A and 2B count as 19 and 18. */
export function frenchNir(text: string): boolean {
  const digits = text.replaceAll(" ", "").toUpperCase();
  const body = digits.slice(0, 13).replace("2A", "19").replace("2B", "18");
  return /^\d{13}$/.test(body) && 97 - Number(BigInt(body) % 97n) === Number(digits.slice(13));
}

/** Germany's tax id: ten digits of which exactly one comes two or three times, and a check digit of ISO 7064 MOD 11,10. */
export function germanTaxId(text: string): boolean {
  const digits = digitsOf(text.replaceAll(" ", ""));
  const counts = new Map<number, number>();
  for (const digit of digits.slice(0, 10)) counts.set(digit, (counts.get(digit) ?? 0) + 1);
  const repeated = [...counts.values()].filter((count) => count > 1);
  if (digits[0] === 0 || repeated.length !== 1 || repeated[0] > 3) return false;
  let product = 10;
  for (const digit of digits.slice(0, 10)) {
    const sum = (digit + product) % 10;
    product = ((sum === 0 ? 10 : sum) * 2) % 11;
  }
  return (11 - product) % 10 === digits[10];
}
