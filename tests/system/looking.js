// What would somebody with poor eyes, or without a mouse, stumble over? Evaluated in the page.
(() => {
  const shown = () => [...document.body.querySelectorAll("*")].filter((one) =>
    one.checkVisibility() && !one.closest(".unseen, thead, svg") && one.getBoundingClientRect().right > 0);
  const says = (one) => [...one.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
  const numbers = (color) => color.match(/[\d.]+/g).map(Number);

  function ground(one) {
    for (let at = one; at; at = at.parentElement) {
      const color = numbers(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  }

  // WCAG 2.2, relative luminance.
  const light = (color) => color.slice(0, 3)
    .map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);

  function contrast(one, color) {
    const [more, less] = [light(numbers(color)), light(ground(one))].sort((a, b) => b - a);
    return (more + 0.05) / (less + 0.05);
  }

  return {
    /** Text with too little contrast: 1.4.3. */
    pale: () => shown().filter((one) => says(one) || one.matches("input, select, textarea")).flatMap((one) => {
      const colors = [getComputedStyle(one).color, ...(one.placeholder ? [getComputedStyle(one, "::placeholder").color] : [])];
      return colors.map((color) => [one.outerHTML.slice(0, 100), contrast(one, color)]);
    }).filter(([, ratio]) => ratio < 4.5),

    /** Names that are given twice. */
    doubled: () => [...document.querySelectorAll("[id]")].map((one) => one.id).filter((id, i, all) => all.indexOf(id) !== i),

    /** Headings that come without the one above them. */
    skippedHeadings: () => [...document.querySelectorAll("h1, h2, h3, h4")].filter((one) => one.checkVisibility())
      .filter((one, i, all) => i && Number(one.tagName[1]) > Number(all[i - 1].tagName[1]) + 1).map((one) => one.textContent),

    /** What is too small to be met with a finger: 2.5.8. */
    small: () => shown().filter((one) => one.matches("button, input, select, textarea, summary, nav a"))
      .filter((one) => !one.matches("[type=checkbox]"))
      .filter((one) => one.getBoundingClientRect().height < 24).map((one) => one.outerHTML.slice(0, 100)),

    /** Where the keyboard is: its place among all elements, and whether it is seen there. */
    stop() {
      const at = document.activeElement;
      if (!at || at === document.body) return null;
      const style = getComputedStyle(at);
      const box = at.getBoundingClientRect();
      return {
        id: at.id,
        name: at.textContent.trim().slice(0, 40),
        place: [...document.querySelectorAll("a, button, input, select, textarea, summary, [tabindex]")].indexOf(at),
        seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 && box.width > 0 && box.right > 0,
      };
    },
  };
})()
