"""The policy pack: each rule by cases, what surrounds the rules, and the whole through the real engine."""
