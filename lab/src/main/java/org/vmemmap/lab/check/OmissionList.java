// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;

/**
 * The places whose calls may be left out without harm, each with the reason: lines {@code PLACE: why}
 * of a resource, where a place may end with {@code (one call)}. A listed one that is noticed is as wrong as another that is not.
 */
public final class OmissionList {
  /** Behind a place of which a single call may be left out, but not all. */
  private static final String ONE = " (one call)";

  private static final String RESOURCE = "harmless-omissions.txt";

  private final Map<String, String> reasons;

  private OmissionList(Map<String, String> reasons) {
    this.reasons = Collections.unmodifiableMap(reasons);
  }

  /** Reads the list. */
  public static OmissionList read() {
    Map<String, String> reasons = new TreeMap<>();
    try (InputStream in = OmissionList.class.getResourceAsStream(RESOURCE)) {
      String text =
          new String(Objects.requireNonNull(in, RESOURCE).readAllBytes(), StandardCharsets.UTF_8);
      for (String line : text.split("\n", -1)) {
        int colon = line.indexOf(": ");
        if (!line.startsWith("#") && colon > 0) {
          reasons.put(line.substring(0, colon), line.substring(colon + 2));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return new OmissionList(reasons);
  }

  /** True when calls of {@code point}, or single ones, are listed. */
  public boolean lists(OmissionPoint point) {
    return reasons.containsKey(point.toString()) || reasons.containsKey(point + ONE);
  }

  /**
   * What is not as the list has it, a line each: places that went unnoticed and are not listed, and
   * listed ones that were noticed, or that nobody came by.
   *
   * @param whole whether {@code outcomes} are of all places, so that each listed one must be there
   */
  public List<String> differences(
      Map<OmissionPoint, OmissionSweep.Outcome> outcomes, boolean whole) {
    List<String> wrong = new ArrayList<>();
    Map<String, String> left = new TreeMap<>(reasons);
    outcomes.forEach(
        (point, outcome) -> {
          boolean listed = left.remove(point.toString()) != null;
          boolean single = left.remove(point + ONE) != null;
          if (single && (outcome.quiet() || !outcome.silent())) {
            wrong.add(point + ONE + ": listed, but all " + outcome.all() + ", one " + outcome.one());
          } else if (outcome.silent() && !listed && !single) {
            wrong.add(point + ": nothing noticed (all " + outcome.all() + ", one " + outcome.one() + ")");
          } else if (listed && !outcome.quiet()) {
            wrong.add(point + ": listed as harmless, but " + outcome.all() + ", " + outcome.one());
          }
        });
    (whole ? left.keySet() : Set.<String>of()).forEach(place -> wrong.add(place + ": listed, but nobody came by"));
    return wrong;
  }
}
