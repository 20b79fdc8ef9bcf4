"""The cart: what somebody wants to buy, and what that costs."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Item:
    name: str
    price: int  # in cents
    quantity: int = 1


@dataclass
class Cart:
    items: list[Item] = field(default_factory=list)

    def add(self, name: str, price: int, quantity: int = 1) -> None:
        self.items.append(Item(name, price, quantity))

    def total(self) -> int:
        return sum(item.price for item in self.items)
