// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaMethod;
import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeMap;
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
  private static final List<KernelTag> TAGS = KernelTag.all();
  private static final Path CASES = Path.of("../cases");
  private static final Path TESTS = Path.of("src/test/java/org/vmemmap/lab/series");

  /** Each file holds the patch that its name says. Expect 1 to 49 without a gap. */
  @Test
  void entries_numbers_haveNoGap() {
    assertEquals(
        IntStream.rangeClosed(1, Series.LAST).boxed().toList(),
        ENTRIES.stream().map(Catalogue.Entry::number).toList());
  }

  /**
   * A behavioural patch is asked for by name. Expect one question for each of them only, with the
   * number of its patch, as the entry says.
   */
  @Test
  void questions_behaviouralPatches_existOnceForEach() {
    Map<Integer, String> wanted = new TreeMap<>();
    ENTRIES.stream()
        .filter(Catalogue.Entry::behavioural)
        .forEach(entry -> wanted.put(entry.number(), entry.predicate()));
    Map<Integer, String> questions = new TreeMap<>();
    for (Method method : Series.class.getDeclaredMethods()) {
      Patch patch = method.getAnnotation(Patch.class);
      if (patch != null) {
        questions.merge(patch.value(), method.getName(), (one, other) -> one + " " + other);
      }
    }
    assertEquals(wanted, questions);
    assertTrue(ENTRIES.stream().allMatch(e -> e.behavioural() != e.predicate().isEmpty()));
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
   * Evidence is a test of the patch or a captured case. Expect each case to be a file, the tests to
   * be those that have the tag of the patch, and a behavioural patch to have one.
   */
  @Test
  void evidence_entries_areTheTaggedTestsAndCases() throws IOException {
    List<SeriesTestMethod> tests = SeriesTestMethod.all(TESTS);
    for (Catalogue.Entry entry : ENTRIES) {
      Set<String> wanted = new TreeSet<>();
      tests.stream()
          .filter(test -> test.patches().contains(entry.number()))
          .forEach(test -> wanted.add(test.name()));
      Set<String> cited = new TreeSet<>(entry.evidence());
      cited.stream()
          .filter(name -> name.contains("/"))
          .forEach(
              name -> assertTrue(Files.exists(CASES.resolve(name + ".json")), name));
      cited.removeIf(name -> name.contains("/"));
      assertEquals(wanted, cited, entry.subject());
      assertTrue(!cited.isEmpty() || !entry.behavioural(), entry.number() + ": no test with its tag");
    }
  }

  /**
   * A test of a patch shows both sides of it. Expect each to run on the kernel without the patch and
   * on the kernel with it: both levels are named in its body.
   */
  @Test
  void evidence_tests_runOnBothSidesOfThePatch() throws IOException {
    List<String> missing = new ArrayList<>();
    for (SeriesTestMethod test : SeriesTestMethod.all(TESTS)) {
      for (int patch : test.patches()) {
        if (!test.names(patch - 1) || !test.names(patch)) {
          missing.add(test.name() + ": not at " + (patch - 1) + " and " + patch);
        }
      }
    }
    assertEquals(List.of(), missing);
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
    for (KernelTag tag : TAGS) {
      if (Arrays.stream(tag.tag().patches()).anyMatch(n -> n == number)) {
        places.add(tag.place());
      }
    }
    return places;
  }
}
