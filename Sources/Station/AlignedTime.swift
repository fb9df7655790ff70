import Charging

/// The evenly spaced moments of a day at which clock-aligned values are read: from midnight UTC on,
/// and anew at each midnight, so that an interval that does not divide the day ends short. The
/// specification names no zone; every whole hour's divisor gives the same moments in all of them.
/// OCPP 1.6 §9.1.3 ClockAlignedDataInterval.
enum AlignedTime {
    private static let dayMilliseconds: Int64 = 86_400_000

    /// The last such moment at or before `now`.
    static func before(_ now: Timestamp, everySeconds interval: Int) -> Timestamp {
        let day = now.milliseconds - modulo(now.milliseconds, dayMilliseconds)
        let step = Int64(max(1, interval)) * 1000
        let since = now.milliseconds - day
        return Timestamp(milliseconds: day + since / step * step)
    }

    private static func modulo(_ a: Int64, _ b: Int64) -> Int64 {
        let rest = a % b
        return rest < 0 ? rest + b : rest
    }
}
