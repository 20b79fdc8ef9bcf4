"""What a cart costs."""

import unittest

from shop.cart import Cart


class TotalOfACart(unittest.TestCase):
    def test_an_empty_cart_costs_nothing(self) -> None:
        self.assertEqual(Cart().total(), 0)

    def test_two_teapots_cost_twice_as_much_as_one(self) -> None:
        cart = Cart()
        cart.add("teapot", price=1250, quantity=2)
        self.assertEqual(cart.total(), 2500)


if __name__ == "__main__":
    unittest.main()
