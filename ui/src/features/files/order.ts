/** The order of the list, as the address and the API name it: "size", backwards "-size". Pure. */

export type Column = "name" | "size" | "modified";
export type Order = Column | `-${Column}`;

const ORDERS: readonly Order[] = ["name", "-name", "size", "-size", "modified", "-modified"];
export const FIRST: Order = "name";

/** What an address says; whatever is no order is the first one. */
export function orderOf(text: unknown): Order {
  return ORDERS.find((each) => each === text) ?? FIRST;
}

/** After its head was pressed: by that column, and backwards where it was by that column already. */
export function pressed(order: Order, column: Column): Order {
  return order === column ? `-${column}` : column;
}

export function sortOf(order: Order, column: Column): "ascending" | "descending" | undefined {
  if (order === column) return "ascending";
  return order === `-${column}` ? "descending" : undefined;
}
