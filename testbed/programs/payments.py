"""The texts that `protected_client` sends, and what somebody on the path makes of them."""

PAYMENT = "pay 100 euros to carol"
"""What h1 sends in most steps."""

GREETING = "hello bob, how are you"
"""As long as the payment, and known to everybody."""

LETTER = "Dear Bob, this letter is longer than one RSA operation can encrypt. " * 10
"""What h1 encrypts with RSA and AES together."""

AMOUNT, WANTED = "100", "900"
AMOUNT_AT = PAYMENT.index(AMOUNT)

CHANGED = PAYMENT.replace(AMOUNT, WANTED)
"""The payment as somebody on the path wants it."""
