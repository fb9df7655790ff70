import Charging
import Glibc

/// A place on the globe. Floating point is right here: it is geometry, no money depends on it.
package struct GeoPoint: Hashable, Sendable {
    // Degrees; geometry, no money.
    package var latitude: Double
    // Degrees; geometry, no money.
    package var longitude: Double

    // Degrees; geometry, no money.
    package init(latitude: Double, longitude: Double) {
        self.latitude = latitude
        self.longitude = longitude
    }

    package init(_ coordinates: Coordinates) {
        // From exact decimals into geometry.
        latitude = Double("\(coordinates.latitude)") ?? 0
        // From exact decimals into geometry.
        longitude = Double("\(coordinates.longitude)") ?? 0
    }

    /// `12.423423, 77.325647`, a blank after the comma allowed.
    init?(_ text: String) {
        let parts = text.split(separator: ",").map { $0.trimmedBlanks }
        // Degrees; geometry, no money.
        guard parts.count == 2, let latitude = Double(parts[0]), let longitude = Double(parts[1]),
            (-90...90).contains(latitude), (-180...180).contains(longitude)
        else { return nil }
        self.init(latitude: latitude, longitude: longitude)
    }

    /// Whole metres, rounded up, along a great circle of a sphere of 6 371 km.
    func metres(to other: GeoPoint) -> Int {
        let (a, b) = (latitude * .pi / 180, other.latitude * .pi / 180)
        let (dy, dx) = (b - a, (other.longitude - longitude) * .pi / 180)
        let h = sin(dy / 2) * sin(dy / 2) + cos(a) * cos(b) * sin(dx / 2) * sin(dx / 2)
        return Int((2 * 6_371_000 * asin(min(1, h.squareRoot()))).rounded(.up))
    }
}

/// The globe in cells of a twentieth of a degree, some 5.5 km of latitude.
enum GeoGrid {
    private static let cellDegrees = 0.05
    private static let columnCount = Int64(360 / cellDegrees)

    struct Box {
        var rows: ClosedRange<Int>
        var columns: ClosedRange<Int>
        var cellCount: Int { rows.count * columns.count }
    }

    /// Every cell a circle touches; nil where it goes round a pole or the globe.
    static func box(around point: GeoPoint, metres: Int) -> Box? {
        // Geometry: a degree of latitude, a little less than the sphere's, so that nothing is missed.
        let latitudeSpan = Double(metres) / 110_000
        let widest = abs(point.latitude) + latitudeSpan
        guard widest < 89 else { return nil }
        // Metres of a degree of longitude shrink towards the poles.
        let longitudeSpan = latitudeSpan / cos(widest * .pi / 180)
        let first = index(point.longitude - longitudeSpan)
        let last = index(point.longitude + longitudeSpan)
        guard Int64(last - first) < columnCount else { return nil }
        return Box(
            rows: index(point.latitude - latitudeSpan)...index(point.latitude + latitudeSpan),
            columns: first...last)
    }

    static func cell(_ point: GeoPoint) -> Int64 {
        key(index(point.latitude), index(point.longitude))
    }

    /// Columns wrap at the date line.
    static func key(_ row: Int, _ column: Int) -> Int64 {
        let wrapped = ((Int64(column) % columnCount) + columnCount) % columnCount
        return Int64(row) * columnCount + wrapped
    }

    // Degrees; geometry, no money.
    private static func index(_ degrees: Double) -> Int {
        Int((degrees / cellDegrees).rounded(.down))
    }
}
