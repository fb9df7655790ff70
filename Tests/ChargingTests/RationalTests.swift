import Testing

@testable import Charging

@Suite struct `A fraction` {
    @Test func `adds and multiplies exactly`() {
        let third = Rational(1, over: 3)
        #expect(third + third + third == Rational(1))
        #expect(third * Rational(3) == Rational(1))
        #expect(Rational(1) / Rational(3) == third)
        #expect(third < Rational(1, over: 2))
        #expect(third - Rational(1) == Rational(-2, over: 3))
    }

    @Test(
        arguments: [
            (1, 3, 2, "0.33"), (2, 3, 2, "0.67"), (1, 8, 2, "0.13"), (-1, 8, 2, "-0.13"),
            (5, 1, 0, "5"), (1, 2, 0, "1"), (49, 100, 0, "0"),
        ] as [(Int128, Int128, Int, String)])
    func `is rounded half up`(n: Int128, d: Int128, digits: Int, expected: String) {
        #expect(Rational(n, over: d).rounded(to: digits).description == expected)
    }

    @Test func `stays exact beyond 128 bits`() {
        // Σ 1/p over the primes from 3 to 199 and back: every denominator in between is far too large.
        let primes = (3..<200).filter { n in (2..<n).allSatisfy { n % $0 != 0 } }
        var sum = Rational.zero
        for p in primes { sum += Rational(1, over: Int128(p)) }
        #expect(sum.rounded(to: 9).description == "1.449034075")
        for p in primes { sum = sum - Rational(1, over: Int128(p)) }
        #expect(sum.isZero)
        #expect((sum + Rational(7)).roundedUp(toMultipleOf: 5) == Rational(10))
    }

    @Test func `is rounded up to a multiple, large or small`() {
        #expect(Rational(1_152, over: 10).roundedUp(toMultipleOf: 1) == Rational(116))
        #expect(Rational(116).roundedUp(toMultipleOf: 1) == Rational(116))
        #expect(Rational(-5, over: 2).roundedUp(toMultipleOf: 1) == Rational(-2))
        var big = Rational.zero
        let mersenne: [Int128] = [61, 89, 107].map { (1 << $0) - 1 }
        for p in mersenne { big += Rational(1, over: p) }
        #expect(big.roundedUp(toMultipleOf: 900) == Rational(900))
        #expect((Rational.zero - big).roundedUp(toMultipleOf: 900) == .zero)
    }

    @Test func `becomes the largest decimal where none can hold it`() {
        let huge = Rational(.max, over: 1) * Rational(.max, over: 1)
        #expect(huge.rounded(to: 2).significand == .max)
        #expect((Rational.zero - huge).rounded(to: 2).significand == -.max)
    }
}

@Suite struct `A big integer` {
    @Test func `agrees with Int128 where that can check it`() {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        func next(_ bits: Int) -> Int128 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int128(Int64(bitPattern: state) >> (64 - bits))
        }
        for round in 0..<2000 {
            let (a, b) = (next(2 + round % 60), next(2 + round % 37))
            let (x, y) = (BigInteger(a), BigInteger(b))
            #expect((x * y).int128 == a * b)
            #expect((x + y).int128 == a + b)
            #expect((x + y.negated).int128 == a - b)
            if b != 0 {
                let quotient = (x * x).quotient(dividingBy: y.magnitude)
                #expect(quotient.int128 == a * a / Int128(b.magnitude))
            }
        }
    }

    @Test func `divides what no machine word holds`() {
        let big = BigInteger(.max) * BigInteger(.max) * BigInteger(1_000_003)
        #expect(
            big.quotient(dividingBy: BigInteger(.max)) == BigInteger(.max) * BigInteger(1_000_003))
        #expect(big.int128 == .max)
        #expect(big.negated.int128 == -.max)
    }
}
