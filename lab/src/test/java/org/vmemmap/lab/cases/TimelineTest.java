// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.lab.series.Catalogue;
import org.vmemmap.types.Series;

/** Captured kernels that date a patch of the series. */
class TimelineTest {
  /**
   * A case of a kernel without the patch, or with it, on the kernels on both sides of the patch.
   * Expect the two to differ in facts of the case, and the side of the captured kernel to have fewer
   * mismatches; and the catalogue's entry to cite the case.
   */
  @ParameterizedTest
  @CsvSource({
    "1, x86-64-7.1.3/enomem-1g, without",
    "3, x86-64-7.1.3/dax-8g, without",
    "3, x86-64-7.2.12/dax-8g, with",
    "14, x86-64-7.3.4/cma-16g-numa2-only, with",
    "15, x86-64-7.2.12/crosszone-8g-on, without",
    "15, x86-64-7.3.4/crosszone-8g-on, with"
  })
  void replay_datedPatch_isToldApartByTheCase(int patch, String name, String captured) {
    assertTrue(Catalogue.entries().get(patch - 1).evidence().contains(name), name);
    VmemmapCase one = CaseFiles.read(Path.of("../cases/" + name + ".json"));
    List<Mismatch> before = Replay.replay(one.withSeries(Series.at(patch - 1))).mismatches();
    List<Mismatch> after = Replay.replay(one.withSeries(Series.at(patch))).mismatches();
    boolean with = captured.equals("with");
    assertEquals(with, before.size() > after.size(), before.size() + " to " + after.size());
    assertEquals(!with, before.size() < after.size(), before.size() + " to " + after.size());
  }
}
