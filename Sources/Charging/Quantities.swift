/// Energy in whole watt-hours. The unit of every register and every bill; never a floating number.
///
/// Sums and differences stop at the ends of the range instead of trapping: a station may send any
/// register.
package struct WattHours: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var value: Int64

    package init(_ value: Int64) { self.value = value }

    package static let zero = WattHours(0)

    package static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    package static func + (a: Self, b: Self) -> Self {
        let (sum, overflow) = a.value.addingReportingOverflow(b.value)
        return Self(overflow ? (b.value < 0 ? .min : .max) : sum)
    }

    package static func - (a: Self, b: Self) -> Self {
        let (difference, overflow) = a.value.subtractingReportingOverflow(b.value)
        return Self(overflow ? (b.value < 0 ? .max : .min) : difference)
    }

    package static func += (a: inout Self, b: Self) { a = a + b }

    /// The same energy in kWh, exact: three digits after the point.
    package var kilowattHours: Decimal { Decimal(significand: Int128(value), scale: 3) }

    package var description: String { "\(value) Wh" }
}

/// Power in whole watts; negative while energy flows back.
package struct Watts: Hashable, Comparable, Sendable {
    package var value: Int64
    package init(_ value: Int64) { self.value = value }
    package static func < (a: Self, b: Self) -> Bool { a.value < b.value }
}

/// Current in milliamperes, so that limits of one decimal and meters of three are both exact.
package struct Amperes: Hashable, Comparable, Sendable {
    package var milliamperes: Int64
    package init(milliamperes: Int64) { self.milliamperes = milliamperes }
    package init(_ whole: Int64) { self.milliamperes = whole * 1000 }
    package static let zero = Amperes(milliamperes: 0)
    package static func < (a: Self, b: Self) -> Bool { a.milliamperes < b.milliamperes }
    package var decimal: Decimal { Decimal(significand: Int128(milliamperes), scale: 3) }
    /// Whichever way it flows: a meter wired the other way round heats the cable just as much.
    package var magnitude: Self { Self(milliamperes: Int64(clamping: milliamperes.magnitude)) }
}

/// Voltage in millivolts, phase to neutral unless a name says otherwise.
package struct Volts: Hashable, Comparable, Sendable {
    package var millivolts: Int64
    package init(millivolts: Int64) { self.millivolts = millivolts }
    package static func < (a: Self, b: Self) -> Bool { a.millivolts < b.millivolts }
    package var decimal: Decimal { Decimal(significand: Int128(millivolts), scale: 3) }
}
