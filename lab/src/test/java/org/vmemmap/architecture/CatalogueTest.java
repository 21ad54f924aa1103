// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaMethod;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.series.Catalogue;
import org.vmemmap.lab.series.Measured;
import org.vmemmap.lab.series.Observable;
import org.vmemmap.lab.series.Observables;
import org.vmemmap.types.LaterFix;
import org.vmemmap.types.Patch;
import org.vmemmap.types.Series;

/** The catalogue of the patches against the code. */
class CatalogueTest {
  private static final List<Catalogue.Entry> ENTRIES = Catalogue.entries();
  private static final Path CASES = Path.of("../cases");
  private static final Path TESTS = Path.of("src/test/java/org/vmemmap/lab/series");

  /** Each file holds the patch that its name says. Expect 1 to 49 without a gap. */
  @Test
  void entries_numbers_haveNoGap() {
    assertEquals(
        IntStream.rangeClosed(1, Series.LAST).boxed().toList(),
        ENTRIES.stream().map(Catalogue.Entry::number).toList());
  }

  /** A behavioural patch is asked for by name. Expect one question for each of them only. */
  @Test
  void questions_behaviouralPatches_existOnceForEach() {
    assertEquals(
        ENTRIES.stream().filter(Catalogue.Entry::behavioural).map(Catalogue.Entry::number).toList(),
        Arrays.stream(Series.class.getDeclaredMethods())
            .map(method -> method.getAnnotation(Patch.class))
            .filter(Objects::nonNull)
            .map(Patch::value)
            .sorted()
            .toList());
  }

  /** The later fixes are listed by name. Expect one question for each. */
  @Test
  void questions_laterFixes_areThoseOfTheList() {
    assertEquals(
        Series.LATER_FIXES,
        Arrays.stream(Series.class.getDeclaredMethods())
            .map(method -> method.getAnnotation(LaterFix.class))
            .filter(Objects::nonNull)
            .map(LaterFix::value)
            .sorted()
            .toList());
  }

  /** A question that nobody asks would be a patch that changes nothing. Expect none. */
  @Test
  void questions_patchesAndFixes_areAskedInThePort() {
    assertEquals(
        List.of(),
        Imported.product().get(Series.class).getMethods().stream()
            .filter(m -> m.isAnnotatedWith(Patch.class) || m.isAnnotatedWith(LaterFix.class))
            .filter(CatalogueTest::unasked)
            .map(JavaMethod::getName)
            .toList());
  }

  private static boolean unasked(JavaMethod question) {
    return question.getAccessesToSelf().stream()
        .noneMatch(access -> !access.getOriginOwner().isEquivalentTo(Series.class));
  }

  /** The places of an entry are those whose tag names the patch. Expect the same lists. */
  @Test
  void java_entries_areTheTaggedPlaces() {
    for (Catalogue.Entry entry : ENTRIES) {
      assertEquals(tagged(entry.number()), new TreeSet<>(entry.java()), entry.subject());
    }
  }

  /**
   * Each behavioural patch names what can be measured of it. Expect its value to change with the
   * patch, nothing to be named for the other patches, and each observable to be named somewhere.
   */
  @Test
  void measured_behaviouralPatches_changeWhatTheyName() {
    List<List<Measured>> measured = Measured.of(ENTRIES);
    Set<String> named = new TreeSet<>();
    for (Catalogue.Entry entry : ENTRIES) {
      List<Measured> changes = measured.get(entry.number() - 1);
      assertEquals(entry.behavioural(), !changes.isEmpty(), entry.subject());
      for (Measured one : changes) {
        named.add(one.observable().name());
        assertNotEquals(one.before(), one.after(), entry.number() + " " + one.observable().name());
      }
    }
    assertEquals(
        new TreeSet<>(Observables.all().stream().map(Observable::name).toList()), named);
  }

  /**
   * Evidence is a captured case or a test of the patch. Expect each case to be a file, each test
   * class to have a test with the tag of the patch, and a behavioural patch to have such a test.
   */
  @Test
  void evidence_entries_isThere() throws IOException {
    for (Catalogue.Entry entry : ENTRIES) {
      boolean tested = false;
      for (String name : entry.evidence()) {
        boolean isCase = name.contains("/");
        Path file = isCase ? CASES.resolve(name + ".json") : TESTS.resolve(name + ".java");
        assertTrue(Files.exists(file), entry.number() + " " + file);
        String tag = "@Tag(\"patch-%02d\")".formatted(entry.number());
        tested |= !isCase && Files.readString(file).contains(tag);
      }
      assertTrue(tested || !entry.behavioural(), entry.number() + ": no test with its tag");
    }
  }

  /**
   * What real kernels show of the series. Expect the patches that the timeline dates to cite cases
   * of a kernel without the patch or with it, and to say what these show; and no other to say so.
   */
  @Test
  void evidence_datedPatches_citeTheTimeline() {
    assertEquals(
        List.of(1, 2, 3, 6, 11, 14, 15, 16),
        ENTRIES.stream()
            .filter(entry -> entry.evidence().stream().anyMatch(e -> e.startsWith("x86-64-7.")))
            .map(Catalogue.Entry::number)
            .toList());
    for (Catalogue.Entry entry : ENTRIES) {
      boolean cites = entry.evidence().stream().anyMatch(name -> name.contains("/"));
      assertEquals(cites, !entry.captured().isEmpty(), entry.subject());
    }
  }

  private static Set<String> tagged(int number) {
    Set<String> places = new TreeSet<>();
    for (KernelTag tag : KernelTag.all()) {
      if (Arrays.stream(tag.tag().patches()).anyMatch(n -> n == number)) {
        places.add(tag.place());
      }
    }
    return places;
  }
}
